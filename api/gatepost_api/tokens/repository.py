"""API token rows."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.tables import ApiToken


async def list_tokens(session: AsyncSession, after: str | None, limit: int) -> Sequence[ApiToken]:
    query = select(ApiToken).order_by(ApiToken.id).limit(limit)
    if after is not None:
        query = query.where(ApiToken.id > after)
    return (await session.scalars(query)).all()


async def live_token_named(session: AsyncSession, name: str) -> ApiToken | None:
    query = select(ApiToken).where(ApiToken.name == name, ApiToken.revoked_at.is_(None))
    return (await session.scalars(query)).first()
