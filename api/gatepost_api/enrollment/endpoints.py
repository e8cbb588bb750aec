"""/v1/enrollment-tokens: what lets a mail host in, once and for an hour unless asked otherwise."""

from typing import Annotated

from fastapi import Query, Request, Response

from gatepost_api.auth import Admin
from gatepost_api.db import ReadSession, WriteSession
from gatepost_api.enrollment import repository, service
from gatepost_api.enrollment.schemas import CreatedEnrollmentToken, EnrollmentTokenIn, EnrollmentTokenOut
from gatepost_api.etags import IfMatch, set_etag
from gatepost_api.idempotency import show_secret
from gatepost_api.pages import AskedPage, Page, shown_as
from gatepost_api.routing import noun

router = noun("/enrollment-tokens", "enrollment")


@router.get("")
async def list_enrollment_tokens(
    caller: Admin,
    session: ReadSession,
    asked: AskedPage,
    name: Annotated[str | None, Query(max_length=64, description="The server it is for")] = None,
) -> Page[EnrollmentTokenOut]:
    """Tokens of the last 30 days, without their secrets."""
    rows = await repository.page_of_tokens(session, asked.after, asked.limit + 1, name=name)
    return shown_as(asked.page(rows, lambda row: row.id), service.shown)


@router.post("", status_code=201)
async def create_enrollment_token(
    caller: Admin, session: WriteSession, request: Request, body: EnrollmentTokenIn
) -> CreatedEnrollmentToken:
    """A new token, shown this once; labels and addresses are what the server gets."""
    show_secret(request)
    return await service.create(session, caller, request.app.state.signer.public, body)


@router.get("/{token_id}")
async def get_enrollment_token(
    caller: Admin, session: ReadSession, token_id: str, response: Response
) -> EnrollmentTokenOut:
    token = await service.get(session, token_id)
    set_etag(response, token.version)
    return service.shown(token)


@router.delete("/{token_id}")
async def revoke_enrollment_token(
    caller: Admin, session: WriteSession, match: IfMatch, token_id: str
) -> EnrollmentTokenOut:
    """Nobody can enrol with it any more."""
    return service.shown(await service.revoke(session, caller, token_id, match))
