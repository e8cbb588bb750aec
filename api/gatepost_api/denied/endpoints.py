"""/v1/denied-set: addresses that no server serves."""

from typing import Annotated

from fastapi import Query, Request, Response

from gatepost_api.auth import Admin, Operator, Viewer
from gatepost_api.db import ReadSession, WriteSession
from gatepost_api.denied import repository, service
from gatepost_api.denied.schemas import BlockIn, BlockOut, OverwriteIn, OverwriteOut
from gatepost_api.etags import IfMatch, set_etag
from gatepost_api.pages import AskedPage, Page, shown_as
from gatepost_api.routing import noun

router = noun("/denied-set", "denied set")


@router.get("")
async def list_blocks(caller: Viewer, session: ReadSession, asked: AskedPage) -> Page[BlockOut]:
    """What is blocked on the whole fleet."""
    rows = await repository.page_of_blocks(session, asked.after, asked.limit + 1)
    return shown_as(asked.page(rows, lambda row: row.id), service.shown)


@router.post("", status_code=201)
async def block(caller: Operator, session: WriteSession, request: Request, body: BlockIn) -> BlockOut:
    """Serves an address nowhere, from the next word to each agent on; open sessions end."""
    return service.shown(await service.block(session, caller, request.app.state.fleet, body))


@router.post(":overwrite")
async def overwrite_blocks(
    caller: Admin, session: WriteSession, request: Request, body: OverwriteIn
) -> OverwriteOut:
    """Chooses what is blocked after a restored backup: what is listed here, and these ranges."""
    rows = await service.overwrite(session, caller, request.app.state.fleet, body)
    return OverwriteOut(blocks=[service.shown(row) for row in rows])


@router.get("/{block_id}")
async def get_block(caller: Viewer, session: ReadSession, block_id: str, response: Response) -> BlockOut:
    row = await service.get(session, block_id)
    set_etag(response, service.VERSION)
    return service.shown(row)


@router.delete("/{block_id}")
async def unblock(
    *,
    caller: Operator,
    session: WriteSession,
    match: IfMatch,
    request: Request,
    block_id: str,
    reason: Annotated[str, Query(max_length=1000)] = "",
) -> BlockOut:
    """Lifts a block."""
    fleet = request.app.state.fleet
    return await service.unblock(session, caller, fleet, block_id, match=match, reason=reason)
