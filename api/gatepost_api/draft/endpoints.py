"""/v1/draft: the fleet document as one, in YAML or JSON."""

from typing import Any

from fastapi import Request, Response

from gatepost_api import documents
from gatepost_api.auth import Operator, Viewer
from gatepost_api.db import ReadSession, WriteSession
from gatepost_api.draft import service
from gatepost_api.draft.schemas import DraftSaved
from gatepost_api.errors import BadRequest, NotAcceptable, UnsupportedMedia
from gatepost_api.etags import ETAG_HEADER, IfMatch, set_etag
from gatepost_api.routing import noun

router = noun("/draft", "draft")
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
READABLE = ("application/json", *YAML_TYPES)
DOCUMENT = {
    "application/json": {"schema": {"type": "object"}},
    "application/yaml": {"schema": {"type": "string"}},
}
DOCUMENT_BODY = {"requestBody": {"required": True, "content": DOCUMENT}}
DOCUMENT_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The document", "content": DOCUMENT, **ETAG_HEADER}
}


async def body_text(request: Request) -> str:
    """The request's document as text. JSON is YAML, so one reader serves both."""
    media = request.headers.get("content-type", "application/yaml").partition(";")[0].strip().lower()
    if media not in READABLE:
        raise UnsupportedMedia(f"Send the document as {' or '.join(READABLE[:2])}.")
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise BadRequest("The document is not UTF-8.") from error


async def document_response(request: Request, content: dict[str, Any]) -> Response:
    """The document in the form that Accept prefers, JSON when it does not say; large ones are written elsewhere."""
    accepted = request.headers.get("accept", "*/*").lower()
    wanted = next(
        (item for item in (part.partition(";")[0].strip() for part in accepted.split(",")) if item), ""
    )
    if wanted in YAML_TYPES:
        media, dump = "application/yaml", documents.as_yaml
    elif wanted in {"application/json", "application/*"} or "*/*" in accepted or "json" in accepted:
        media, dump = "application/json", documents.as_json
    else:
        raise NotAcceptable(f"The document is given as {' or '.join(READABLE[:2])}.")
    text = await request.app.state.workshop.run(documents.weight(content), dump, content)
    return Response(text, media_type=media, headers={"Vary": "Accept"})


async def parsed_body(request: Request) -> dict[str, Any]:
    """The document in the body, read and checked away from the loop. Raises Invalid with every fault."""
    text = await body_text(request)
    parsed = await request.app.state.workshop.run(len(text), documents.parse, text)
    if parsed.faults:
        raise documents.invalid(parsed.faults)
    content: dict[str, Any] = parsed.content
    return content


@router.get("", responses=DOCUMENT_RESPONSE, response_class=Response)
async def get_draft(caller: Viewer, session: ReadSession, request: Request) -> Response:
    """The whole document, to be edited and put back."""
    draft = await service.read(session)
    response = await document_response(request, draft.content)
    set_etag(response, draft.version)
    return response


@router.put("", openapi_extra=DOCUMENT_BODY)
async def put_draft(
    caller: Operator, session: WriteSession, match: IfMatch, request: Request, response: Response
) -> DraftSaved:
    """Replaces the draft. Unparsable values are refused and nothing is stored."""
    saved = await service.replace(session, caller, match, await parsed_body(request))
    set_etag(response, saved.version)
    return saved
