"""/v1/revisions: publish, look back, go back."""

from typing import Annotated

from fastapi import Path, Request, Response

from gatepost_api.auth import Operator, Viewer
from gatepost_api.db import ReadSession, WriteSession
from gatepost_api.draft.endpoints import DOCUMENT_RESPONSE, document_response
from gatepost_api.etags import IfMatch
from gatepost_api.pages import AskedPage, Page, shown_as
from gatepost_api.revisions import repository, service
from gatepost_api.revisions.schemas import PublishIn, RevisionOut, RollbackIn
from gatepost_api.revisions.service import Press
from gatepost_api.routing import noun

router = noun("/revisions", "revisions")
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


def press(request: Request) -> Press:
    state = request.app.state
    return Press(state.database, state.workshop, state.fleet, state.signer)


@router.get("")
async def list_revisions(caller: Viewer, session: ReadSession, asked: AskedPage) -> Page[RevisionOut]:
    """Newest first."""
    rows = await repository.page_of_revisions(session, asked.after_number, asked.limit + 1)
    return shown_as(asked.page(rows, lambda row: row.number), RevisionOut.model_validate)


@router.post("", status_code=201)
async def publish(
    *,
    caller: Operator,
    session: WriteSession,
    match: IfMatch,
    body: PublishIn,
    request: Request,
    response: Response,
) -> RevisionOut:
    """Publishes the draft; If-Match carries the draft's ETag. Publishing what is in force changes nothing."""
    revision = await service.publish(press(request), session, caller, match=match, wanted=body)
    response.headers["Location"] = f"/v1/revisions/{revision.number}"
    return RevisionOut.model_validate(revision)


@router.get("/{number}")
async def get_revision(caller: Viewer, session: ReadSession, number: Number) -> RevisionOut:
    return RevisionOut.model_validate(await service.get(session, number))


@router.get("/{number}/document", responses=DOCUMENT_RESPONSE, response_class=Response)
async def get_revision_document(
    caller: Viewer, session: ReadSession, number: Number, request: Request
) -> Response:
    """The document as it was published."""
    return await document_response(request, service.content_of(await service.get(session, number)))


@router.post("/{number}:rollback", status_code=201)
async def rollback(
    *,
    caller: Operator,
    session: WriteSession,
    match: IfMatch,
    number: Number,
    body: RollbackIn,
    request: Request,
) -> RevisionOut:
    """Publishes an older document as a new revision and makes it the draft; If-Match is the draft's ETag."""
    revision = await service.roll_back(
        press(request), session, caller, match=match, number=number, wanted=body
    )
    return RevisionOut.model_validate(revision)
