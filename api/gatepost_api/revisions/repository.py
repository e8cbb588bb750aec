"""Revision and bundle rows."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.signing import Signer
from gatepost_api.tables import BundleRow, Revision

DIGESTS_AT_ONCE = 1000  # parameters of one statement


async def latest(session: AsyncSession) -> Revision | None:
    """The revision that is in force."""
    return (await session.scalars(select(Revision).order_by(Revision.number.desc()).limit(1))).first()


async def page_of_revisions(session: AsyncSession, before: int | None, limit: int) -> Sequence[Revision]:
    """Up to `limit` revisions below `before`, newest first."""
    query = select(Revision).order_by(Revision.number.desc()).limit(limit)
    if before is not None:
        query = query.where(Revision.number < before)
    return (await session.scalars(query)).all()


async def known_bundles(session: AsyncSession, digests: Iterable[str]) -> set[str]:
    """Those of the digests whose bundles are stored: they were made here."""
    wanted = list(dict.fromkeys(digests))
    found: set[str] = set()
    for at in range(0, len(wanted), DIGESTS_AT_ONCE):
        some = wanted[at : at + DIGESTS_AT_ONCE]
        found.update(await session.scalars(select(BundleRow.digest).where(BundleRow.digest.in_(some))))
    return found


async def keep_bundles(session: AsyncSession, signer: Signer, payloads: Mapping[str, bytes]) -> None:
    """Sign and store the bundles that are not stored yet."""
    known = await known_bundles(session, payloads)
    now = datetime.now(UTC)
    for digest, payload in payloads.items():
        if digest not in known:
            envelope = signer.sign("bundle", payload).model_dump_json().encode()
            session.add(BundleRow(digest=digest, envelope=envelope, created_at=now))
