"""When ranges were last used, by connector."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.tables import RangeHit


async def last_hits(session: AsyncSession, connector: str) -> dict[str, datetime]:
    """The latest hit of each range, as typed, on any server, under the connector's published name."""
    query = (
        select(RangeHit.range, func.max(RangeHit.last_hit))
        .where(RangeHit.connector == connector)
        .group_by(RangeHit.range)
    )
    return {row[0]: row[1] for row in (await session.execute(query)).all()}
