"""Enrollment token rows."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.tables import EnrollmentToken


async def page_of_tokens(
    session: AsyncSession, after: str | None, limit: int, *, name: str | None = None
) -> Sequence[EnrollmentToken]:
    """Up to `limit` tokens with an id above `after`; `name` is the server's that they are for."""
    query = select(EnrollmentToken).order_by(EnrollmentToken.id).limit(limit)
    if name is not None:
        query = query.where(EnrollmentToken.server_name == name)
    if after is not None:
        query = query.where(EnrollmentToken.id > after)
    return (await session.scalars(query)).all()
