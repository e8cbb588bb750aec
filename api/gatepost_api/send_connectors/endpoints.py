"""/v1/send-connectors: where accepted mail goes."""

from typing import Annotated, Any

from fastapi import Query, Response

from gatepost.policy.model.send_connector import SendConnector
from gatepost_api.auth import Operator, Viewer
from gatepost_api.db import ReadSession, WriteSession
from gatepost_api.draft import pieces
from gatepost_api.draft.listing import json_of, list_pieces
from gatepost_api.draft.schemas import Removed
from gatepost_api.etags import IfMatch
from gatepost_api.pages import AskedPage, Page
from gatepost_api.routing import noun

router = noun("/send-connectors", "send_connectors")
KIND = "send_connectors"


class SendConnectorOut(SendConnector):
    """A Send connector of the draft."""

    id: str


@router.get("", response_model=Page[SendConnectorOut])
async def list_send_connectors(
    caller: Viewer,
    session: ReadSession,
    asked: AskedPage,
    name: Annotated[str | None, Query(max_length=256)] = None,
) -> Response:
    """Those of the draft."""
    return await list_pieces(session, asked, KIND, name)


@router.post("", status_code=201, response_model=SendConnectorOut)
async def create_send_connector(caller: Operator, session: WriteSession, body: SendConnector) -> Response:
    """Adds one to the draft."""
    return json_of(await pieces.create(session, caller, KIND, body), status=201)


@router.get("/{piece_id}", response_model=SendConnectorOut)
async def get_send_connector(caller: Viewer, session: ReadSession, piece_id: str) -> Response:
    return json_of(await pieces.get(session, KIND, piece_id))


@router.put("/{piece_id}", response_model=SendConnectorOut)
async def replace_send_connector(
    caller: Operator, session: WriteSession, match: IfMatch, piece_id: str, body: SendConnector
) -> Response:
    """Sets every setting; another name is a rename, and the id stays."""
    return json_of(await pieces.replace(session, caller, (KIND, piece_id), match, body))


@router.patch("/{piece_id}", response_model=SendConnectorOut)
async def change_send_connector(
    caller: Operator, session: WriteSession, match: IfMatch, piece_id: str, body: dict[str, Any]
) -> Response:
    """JSON Merge Patch (RFC 7396): null resets a setting to its default."""
    return json_of(await pieces.patch(session, caller, (KIND, piece_id), match, body))


@router.delete("/{piece_id}")
async def remove_send_connector(
    caller: Operator, session: WriteSession, match: IfMatch, piece_id: str
) -> Removed:
    """Takes it out of the draft."""
    await pieces.remove(session, caller, KIND, piece_id, match)
    return Removed(removed=piece_id)
