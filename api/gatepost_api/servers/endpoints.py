"""/v1/servers: what mail hosts are, shall run and say of themselves."""

from typing import Annotated, Literal

from fastapi import Depends, Query, Request, Response

from gatepost_api.auth import Admin, Operator, Viewer
from gatepost_api.connectors import service as connectors
from gatepost_api.connectors.endpoints import ReceiveConnectorOut
from gatepost_api.connectors.schemas import DefaultConnectorIn
from gatepost_api.db import ReadSession, WriteSession
from gatepost_api.draft.listing import json_of
from gatepost_api.etags import IfMatch, set_etag
from gatepost_api.pages import AskedPage, Page, shown_as
from gatepost_api.routing import noun
from gatepost_api.servers import repository, service
from gatepost_api.servers.repository import ServerRows, Wanted
from gatepost_api.servers.schemas import AttemptOut, ServerOut, ServerPatch, VerbIn
from gatepost_api.waiting import PreferredWait, converged

router = noun("/servers", "servers")
State = Literal["active", "retired", "banned"]
Assigned = Literal[
    "none",
    "pending",
    "offered",
    "applying",
    "running",
    "settled",
    "rejected",
    "rolled_back",
    "blocked",
    "held",
]


async def wanted_servers(
    name: Annotated[str | None, Query(max_length=64)] = None,
    state: State | None = None,
    assignment_state: Assigned | None = None,
    revision: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Wanted:
    return Wanted(name, state, assignment_state, revision)


def shown(request: Request, rows: ServerRows) -> ServerOut:
    return service.shown(rows, request.app.state.settings.offline_after_s)


@router.get("")
async def list_servers(
    *,
    caller: Viewer,
    session: ReadSession,
    asked: AskedPage,
    wanted: Annotated[Wanted, Depends(wanted_servers)],
    request: Request,
) -> Page[ServerOut]:
    rows = await repository.page_of_servers(session, wanted, asked.after, asked.limit + 1)
    page = asked.page(rows, lambda row: row.server.id)
    return shown_as(page, lambda row: shown(request, row))


@router.get("/{server_id}")
async def get_server(
    caller: Viewer, server_id: str, request: Request, response: Response, wait_s: PreferredWait
) -> ServerOut:
    """One server; `Prefer: wait=…` waits until it runs, or has refused, what it is assigned."""
    state = request.app.state

    async def look() -> ServerRows:
        async with state.database.reading() as session:
            return await service.get(session, server_id)

    rows = await converged(look, service.is_decided, state.fleet, wait_s)
    set_etag(response, rows.server.version)
    return shown(request, rows)


@router.get("/{server_id}/attempts")
async def list_server_attempts(caller: Viewer, session: ReadSession, server_id: str) -> list[AttemptOut]:
    """How the latest generations ended on the server, newest first; 20 at most."""
    await service.get(session, server_id)
    return [AttemptOut.model_validate(row) for row in await repository.attempts_of(session, server_id)]


@router.patch("/{server_id}")
async def edit_server(
    *,
    caller: Admin,
    session: WriteSession,
    match: IfMatch,
    server_id: str,
    body: ServerPatch,
    request: Request,
    response: Response,
) -> ServerOut:
    """Changes labels, addresses or fqdn; they are in force from the next publish on."""
    rows = await service.edit(session, caller, server_id, match, body)
    set_etag(response, rows.server.version)
    return shown(request, rows)


@router.post("/{server_id}:retry")
async def retry_server(
    *, caller: Operator, session: WriteSession, server_id: str, body: VerbIn, request: Request
) -> ServerOut:
    """Offers what was rejected or rolled back once more, as a new generation."""
    fleet = request.app.state.fleet
    return shown(request, await service.retry(session, caller, fleet, server_id, body.reason))


@router.post("/{server_id}:adopt")
async def adopt_server(
    *, caller: Admin, session: WriteSession, server_id: str, body: VerbIn, request: Request
) -> ServerOut:
    """Lets a held server keep what it runs."""
    fleet = request.app.state.fleet
    return shown(request, await service.adopt(session, caller, fleet, server_id, body.reason))


@router.post("/{server_id}:overwrite")
async def overwrite_server(
    *, caller: Admin, session: WriteSession, server_id: str, body: VerbIn, request: Request
) -> ServerOut:
    """Gives a held server what is published."""
    fleet = request.app.state.fleet
    return shown(request, await service.overwrite(session, caller, fleet, server_id, body.reason))


@router.post("/{server_id}:retire")
async def retire_server(
    *, caller: Admin, session: WriteSession, server_id: str, body: VerbIn, request: Request
) -> ServerOut:
    """The host is gone: its token ends and its name is free again."""
    fleet = request.app.state.fleet
    return shown(request, await service.retire(session, caller, fleet, server_id, body.reason))


@router.post("/{server_id}:ban")
async def ban_server(
    *, caller: Admin, session: WriteSession, server_id: str, body: VerbIn, request: Request
) -> ServerOut:
    """The host's key is refused from now on."""
    fleet = request.app.state.fleet
    return shown(request, await service.ban(session, caller, fleet, server_id, body.reason))


@router.post("/{server_id}:default-connector", status_code=201, response_model=ReceiveConnectorOut)
async def make_default_connector(
    caller: Operator, session: WriteSession, server_id: str, body: DefaultConnectorIn
) -> Response:
    """Adds a safe default connector for the server to the draft: mail to accepted domains only."""
    rows = await service.get(session, server_id)
    return json_of(await connectors.make_default(session, caller, rows.server, body), status=201)
