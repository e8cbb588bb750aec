"""GET /v1/audit-events, and the same as JSON lines."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.responses import StreamingResponse

from gatepost_api.audit import service
from gatepost_api.audit.repository import Wanted
from gatepost_api.audit.schemas import AuditEventOut
from gatepost_api.auth import Viewer
from gatepost_api.db import ReadSession
from gatepost_api.pages import AskedPage, Page, shown_as
from gatepost_api.routing import noun

router = noun("/audit-events", "audit")
Text = Annotated[str | None, Query(max_length=255)]
Since = Annotated[datetime | None, Query(description="Only events at or after this time")]
Until = Annotated[datetime | None, Query(description="Only events before this time")]


async def wanted_events(
    *,
    actor: Text = None,
    action: Text = None,
    object_kind: Text = None,
    object_id: Text = None,
    object_name: Text = None,
    request_id: Text = None,
    since: Since = None,
    until: Until = None,
) -> Wanted:
    return Wanted(actor, action, object_kind, object_id, object_name, request_id, since, until)


WantedEvents = Annotated[Wanted, Depends(wanted_events)]


@router.get("")
async def list_audit_events(
    caller: Viewer, session: ReadSession, asked: AskedPage, wanted: WantedEvents
) -> Page[AuditEventOut]:
    """Changes, newest first."""
    rows = await service.page_of_events(session, wanted, asked.after_number, asked.limit)
    return shown_as(asked.page(rows, lambda row: row.id), AuditEventOut.model_validate)


@router.get(":export", response_class=StreamingResponse)
async def export_audit_events(caller: Viewer, request: Request, wanted: WantedEvents) -> StreamingResponse:
    """Every matching change as one JSON object a line."""

    async def lines() -> AsyncIterator[bytes]:
        async for event in service.every_event(request.app.state.database, wanted):
            yield AuditEventOut.model_validate(event).model_dump_json().encode() + b"\n"

    return StreamingResponse(lines(), media_type="application/jsonl")
