"""/v1/relay-users: admins change them, everybody may see who there is."""

from typing import Annotated

from fastapi import Query, Request, Response

from gatepost_api.auth import Admin, Viewer
from gatepost_api.db import ReadSession, WriteSession
from gatepost_api.etags import IfMatch, OptionalIfMatch, set_etag
from gatepost_api.idempotency import show_secret
from gatepost_api.pages import AskedPage, Page, shown_as
from gatepost_api.relay_users import repository, service
from gatepost_api.relay_users.schemas import (
    RelayUserChanged,
    RelayUserIn,
    RelayUserOut,
    RelayUserPatch,
    RelayUserSecret,
)
from gatepost_api.revisions.endpoints import press
from gatepost_api.routing import noun

router = noun("/relay-users", "relay users")


@router.get("")
async def list_relay_users(
    caller: Viewer,
    session: ReadSession,
    asked: AskedPage,
    name: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[RelayUserOut]:
    """Who may log on with AUTH; never a secret."""
    rows = await repository.page_of_users(session, asked.after, asked.limit + 1, name=name)
    return shown_as(asked.page(rows, lambda row: row.id), service.shown)


@router.post("", status_code=201)
async def create_relay_user(
    caller: Admin, session: WriteSession, request: Request, response: Response, body: RelayUserIn
) -> RelayUserSecret:
    """A new user with a generated secret, shown this once; servers that take passwords get it at once."""
    show_secret(request)
    made = await service.create(press(request), session, caller, body)
    response.headers["Location"] = f"/v1/relay-users/{made.user.id}"
    return made


@router.get("/{user_id}")
async def get_relay_user(
    caller: Viewer, session: ReadSession, user_id: str, response: Response
) -> RelayUserOut:
    row = await service.get(session, user_id)
    set_etag(response, row.version)
    return service.shown(row)


@router.patch("/{user_id}")
async def change_relay_user(
    *,
    caller: Admin,
    session: WriteSession,
    match: IfMatch,
    user_id: str,
    body: RelayUserPatch,
    request: Request,
    response: Response,
) -> RelayUserChanged:
    """JSON Merge Patch (RFC 7396) of senders and comment."""
    row, changed = await service.edit(press(request), session, caller, user_id, match=match, patch=body)
    set_etag(response, row.version)
    return changed


@router.post("/{user_id}:rotate-secret")
async def rotate_relay_user_secret(
    *, caller: Admin, session: WriteSession, match: OptionalIfMatch, user_id: str, request: Request
) -> RelayUserSecret:
    """A new secret, shown this once; the old one ends as servers take their new bundle."""
    show_secret(request)
    return await service.rotate_secret(press(request), session, caller, user_id, match)


@router.delete("/{user_id}")
async def delete_relay_user(
    *, caller: Admin, session: WriteSession, match: IfMatch, user_id: str, request: Request
) -> RelayUserChanged:
    """Ends the user's rights; refused while a published test logs on as it."""
    return await service.delete(press(request), session, caller, user_id, match)
