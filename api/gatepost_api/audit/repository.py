"""Audit rows: added in the transaction of the change, read newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.tables import AuditEvent


class Wanted(NamedTuple):
    """Filters of the listing; None takes everything."""

    actor: str | None = None
    action: str | None = None
    object_kind: str | None = None
    object_id: str | None = None
    object_name: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def list_events(
    session: AsyncSession, wanted: Wanted, before_id: int | None, limit: int
) -> Sequence[AuditEvent]:
    """Up to `limit` events with an id below `before_id`, newest first."""
    query = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)
    for column in ("actor", "action", "object_kind", "object_id", "object_name", "request_id"):
        value = getattr(wanted, column)
        if value is not None:
            query = query.where(getattr(AuditEvent, column) == value)
    if wanted.since is not None:
        query = query.where(AuditEvent.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditEvent.at < wanted.until)
    if before_id is not None:
        query = query.where(AuditEvent.id < before_id)
    return (await session.scalars(query)).all()
