"""Rows of the denied set."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.tables import Denied, FleetClock


async def page_of_blocks(session: AsyncSession, after: str | None, limit: int) -> Sequence[Denied]:
    query = select(Denied).order_by(Denied.id).limit(limit)
    if after is not None:
        query = query.where(Denied.id > after)
    return (await session.scalars(query)).all()


async def block_of(session: AsyncSession, address_range: str) -> Denied | None:
    return (await session.scalars(select(Denied).where(Denied.address_range == address_range))).first()


async def how_many(session: AsyncSession) -> int:
    return (await session.execute(select(func.count()).select_from(Denied))).scalar_one()


async def is_held(session: AsyncSession) -> bool:
    """Whether a server has a later denied set than any that this control plane knows, and nobody has chosen yet."""
    clock = (await session.execute(select(FleetClock.denied_v, FleetClock.denied_ahead_v))).one()
    return int(clock.denied_ahead_v) > int(clock.denied_v)
