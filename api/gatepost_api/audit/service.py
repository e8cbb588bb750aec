"""Recording changes. A change without its audit row cannot be committed, and the other way round."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.audit.repository import Wanted, list_events
from gatepost_api.auth import Caller
from gatepost_api.db import Database
from gatepost_api.tables import AuditEvent

EXPORT_BATCH = 1000
MAX_NAME_CHARS = 255


class Target(NamedTuple):
    """What was changed."""

    kind: str
    id: str
    name: str


def record(
    session: AsyncSession,
    caller: Caller,
    action: str,
    target: Target,
    *,
    before: BaseModel | Mapping[str, Any] | None = None,
    after: BaseModel | Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Add the row to the session. `before` and `after` are public shapes: they never hold a secret."""
    session.add(
        AuditEvent(
            at=datetime.now(UTC),
            actor=caller.name,
            token_id=caller.token_id,
            remote=caller.remote,
            request_id=caller.request_id,
            action=action,
            object_kind=target.kind,
            object_id=target.id,
            object_name=target.name[:MAX_NAME_CHARS],
            before=_plain(before),
            after=_plain(after),
            reason=reason or caller.reason,
        )
    )


def _plain(value: BaseModel | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return None if value is None else dict(value)


async def page_of_events(
    session: AsyncSession, wanted: Wanted, before_id: int | None, limit: int
) -> Sequence[AuditEvent]:
    """Up to `limit` events and one more, newest first."""
    return await list_events(session, wanted, before_id, limit + 1)


async def every_event(database: Database, wanted: Wanted) -> AsyncIterator[AuditEvent]:
    """All matching events, newest first, in batches: no session stays open while the client reads."""
    before_id: int | None = None
    while True:
        async with database.reading() as session:
            batch = await list_events(session, wanted, before_id, EXPORT_BATCH)
        for event in batch:
            yield event
        if len(batch) < EXPORT_BATCH:
            return
        before_id = batch[-1].id
