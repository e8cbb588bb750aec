"""/v1/rollouts: how revisions are getting on."""

from typing import Annotated

from fastapi import Path, Request

from gatepost_api.auth import Viewer
from gatepost_api.db import ReadSession
from gatepost_api.pages import AskedPage, Page
from gatepost_api.revisions import repository as revisions
from gatepost_api.rollouts import service
from gatepost_api.rollouts.schemas import RolloutOut
from gatepost_api.routing import noun
from gatepost_api.waiting import PreferredWait, converged

router = noun("/rollouts", "rollouts")


@router.get("")
async def list_rollouts(
    caller: Viewer, session: ReadSession, asked: AskedPage, request: Request
) -> Page[RolloutOut]:
    """Of every revision, newest first."""
    rows = await revisions.page_of_revisions(session, asked.after_number, asked.limit + 1)
    page = asked.page(rows, lambda row: row.number)
    bound = request.app.state.settings.offline_after_s
    items = [await service.rollout(session, row.number, bound) for row in page.items]
    return Page(items=items, next_cursor=page.next_cursor)


@router.get("/{number}")
async def get_rollout(
    caller: Viewer, request: Request, wait_s: PreferredWait, number: Annotated[int, Path(ge=1, le=2**31 - 1)]
) -> RolloutOut:
    """How a revision is getting on; `Prefer: wait=…` waits until it is decided."""
    state = request.app.state

    async def look() -> RolloutOut:
        async with state.database.reading() as session:
            return await service.rollout(session, number, state.settings.offline_after_s)

    return await converged(look, lambda found: found.state != "progressing", state.fleet, wait_s)
