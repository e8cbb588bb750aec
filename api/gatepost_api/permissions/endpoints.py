"""/v1/connectors/{id}/permissions: rows of user, right, deny, inherited and source."""

from typing import Annotated

from fastapi import Depends, Query, Response

from gatepost.policy.model.rights import Ace
from gatepost_api.auth import Operator, Viewer
from gatepost_api.db import ReadSession, WriteSession
from gatepost_api.etags import IfMatch, set_etag
from gatepost_api.pages import AskedPage, Page
from gatepost_api.permissions import service
from gatepost_api.permissions.schemas import AnyRight, PermissionRow, PermissionsIn, Principal
from gatepost_api.permissions.service import Wanted
from gatepost_api.routing import noun

router = noun("/connectors/{piece_id}/permissions", "connectors")


async def wanted_permissions(
    user: Annotated[Principal | None, Query()] = None,
    right: Annotated[AnyRight | None, Query()] = None,
    deny: bool | None = None,
    inherited: bool | None = None,
    source: Annotated[str | None, Query(max_length=64)] = None,
) -> Wanted:
    return Wanted(user, right, deny, inherited, source)


@router.get("")
async def list_permissions(
    *,
    caller: Viewer,
    session: ReadSession,
    asked: AskedPage,
    wanted: Annotated[Wanted, Depends(wanted_permissions)],
    piece_id: str,
    response: Response,
) -> Page[PermissionRow]:
    """One row for each right of each entry; `deny=false&inherited=false` is the usual listing."""
    row, connector = await service.get(session, piece_id)
    set_etag(response, row.version)
    rows = service.rows_of(connector, wanted)
    begin = 0 if asked.after_number is None else asked.after_number + 1
    numbered = list(enumerate(rows))[begin : begin + asked.limit + 1]
    page = asked.page(numbered, lambda pair: pair[0])
    return Page(items=[row for _, row in page.items], next_cursor=page.next_cursor)


@router.post("", status_code=201)
async def add_permissions(
    *,
    caller: Operator,
    session: WriteSession,
    match: IfMatch,
    piece_id: str,
    body: PermissionsIn,
    response: Response,
) -> list[PermissionRow]:
    """Allows or denies rights to a principal; If-Match is the connector's ETag. Answers with all its rows."""
    row = await service.add(session, caller, piece_id, match, body)
    set_etag(response, row.version)
    _, connector = await service.get(session, piece_id)
    return service.rows_of(connector, Wanted(user=body.user))


@router.delete("")
async def remove_permission(
    *,
    caller: Operator,
    session: WriteSession,
    match: IfMatch,
    piece_id: str,
    user: Annotated[Principal, Query()],
    right: Annotated[AnyRight, Query()],
    deny: bool = False,
    inherited: bool = False,
    response: Response,
) -> list[PermissionRow]:
    """Removes one explicit entry; answers with the principal's other rows."""
    entry = Ace(user, right, deny, inherited, "explicit")
    row = await service.remove(session, caller, piece_id, match, entry)
    set_etag(response, row.version)
    _, connector = await service.get(session, piece_id)
    return service.rows_of(connector, Wanted(user=user))
