"""Relay user rows, and what of them goes into bundles."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.model.bundle import RelayUser
from gatepost_api.tables import RelayUserRow


async def page_of_users(
    session: AsyncSession, after: str | None, limit: int, *, name: str | None = None
) -> Sequence[RelayUserRow]:
    """Up to `limit` users with an id above `after`; `name` in any case."""
    query = select(RelayUserRow).order_by(RelayUserRow.id).limit(limit)
    if after is not None:
        query = query.where(RelayUserRow.id > after)
    if name is not None:
        query = query.where(RelayUserRow.name_key == name.lower())
    return (await session.scalars(query)).all()


async def named(session: AsyncSession, name: str) -> RelayUserRow | None:
    query = select(RelayUserRow).where(RelayUserRow.name_key == name.lower())
    return (await session.scalars(query)).first()


async def how_many(session: AsyncSession) -> int:
    return (await session.execute(select(func.count()).select_from(RelayUserRow))).scalar_one()


async def bundled(session: AsyncSession) -> tuple[RelayUser, ...]:
    """All users as agents see them, in one order, since bundles are addressed by their digest."""
    rows = await session.scalars(select(RelayUserRow).order_by(RelayUserRow.name_key))
    return tuple(RelayUser(name=row.name, verifier=row.verifier, senders=tuple(row.senders)) for row in rows)
