"""/v1/accepted-domains: domains that mail is received for."""

from typing import Annotated, Any

from fastapi import Query, Response

from gatepost.policy.model.document import AcceptedDomain
from gatepost_api.auth import Operator, Viewer
from gatepost_api.db import ReadSession, WriteSession
from gatepost_api.draft import pieces
from gatepost_api.draft.listing import json_of, list_pieces
from gatepost_api.draft.schemas import Removed
from gatepost_api.etags import IfMatch
from gatepost_api.pages import AskedPage, Page
from gatepost_api.routing import noun

router = noun("/accepted-domains", "accepted_domains")
KIND = "accepted_domains"


class AcceptedDomainOut(AcceptedDomain):
    """An accepted domain of the draft."""

    id: str


@router.get("", response_model=Page[AcceptedDomainOut])
async def list_accepted_domains(
    caller: Viewer,
    session: ReadSession,
    asked: AskedPage,
    name: Annotated[str | None, Query(max_length=256)] = None,
) -> Response:
    """Those of the draft."""
    return await list_pieces(session, asked, KIND, name)


@router.post("", status_code=201, response_model=AcceptedDomainOut)
async def create_accepted_domain(caller: Operator, session: WriteSession, body: AcceptedDomain) -> Response:
    """Adds one to the draft."""
    return json_of(await pieces.create(session, caller, KIND, body), status=201)


@router.get("/{piece_id}", response_model=AcceptedDomainOut)
async def get_accepted_domain(caller: Viewer, session: ReadSession, piece_id: str) -> Response:
    return json_of(await pieces.get(session, KIND, piece_id))


@router.put("/{piece_id}", response_model=AcceptedDomainOut)
async def replace_accepted_domain(
    caller: Operator, session: WriteSession, match: IfMatch, piece_id: str, body: AcceptedDomain
) -> Response:
    """Sets every setting; another name is a rename, and the id stays."""
    return json_of(await pieces.replace(session, caller, (KIND, piece_id), match, body))


@router.patch("/{piece_id}", response_model=AcceptedDomainOut)
async def change_accepted_domain(
    caller: Operator, session: WriteSession, match: IfMatch, piece_id: str, body: dict[str, Any]
) -> Response:
    """JSON Merge Patch (RFC 7396): null resets a setting to its default."""
    return json_of(await pieces.patch(session, caller, (KIND, piece_id), match, body))


@router.delete("/{piece_id}")
async def remove_accepted_domain(
    caller: Operator, session: WriteSession, match: IfMatch, piece_id: str
) -> Removed:
    """Takes it out of the draft."""
    await pieces.remove(session, caller, KIND, piece_id, match)
    return Removed(removed=piece_id)
