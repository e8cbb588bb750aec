"""Revision and bundle rows."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.signing import Signer
from gatepost_api.tables import BundleRow, Revision


async def latest(session: AsyncSession) -> Revision | None:
    """The revision that is in force."""
    return (await session.scalars(select(Revision).order_by(Revision.number.desc()).limit(1))).first()


async def page_of_revisions(session: AsyncSession, before: int | None, limit: int) -> Sequence[Revision]:
    """Up to `limit` revisions below `before`, newest first."""
    query = select(Revision).order_by(Revision.number.desc()).limit(limit)
    if before is not None:
        query = query.where(Revision.number < before)
    return (await session.scalars(query)).all()


async def keep_bundles(session: AsyncSession, signer: Signer, payloads: Mapping[str, bytes]) -> None:
    """Sign and store the bundles that are not stored yet."""
    known = set(await session.scalars(select(BundleRow.digest).where(BundleRow.digest.in_(payloads))))
    now = datetime.now(UTC)
    for digest, payload in payloads.items():
        if digest not in known:
            envelope = signer.sign("bundle", payload).model_dump_json().encode()
            session.add(BundleRow(digest=digest, envelope=envelope, created_at=now))
