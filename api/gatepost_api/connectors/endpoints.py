"""/v1/connectors: Receive connectors, and the two methods of anonymous relay."""

from typing import Annotated, Any, Literal

from fastapi import Query, Response
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

from gatepost.policy.model.connector import ReceiveConnector
from gatepost.policy.model.usage import refuse_usage
from gatepost_api.auth import Operator, Viewer
from gatepost_api.connectors import service
from gatepost_api.connectors.schemas import ConnectorRange
from gatepost_api.db import ReadSession, WriteSession
from gatepost_api.draft import pieces
from gatepost_api.draft.listing import json_of, list_pieces
from gatepost_api.draft.schemas import Removed
from gatepost_api.etags import IfMatch, OptionalIfMatch
from gatepost_api.pages import AskedPage, Page
from gatepost_api.routing import noun

router = noun("/connectors", "connectors")
KIND = "connectors"
Settings = Annotated[ReceiveConnector, BeforeValidator(refuse_usage)]
Changes = Annotated[dict[str, Any], BeforeValidator(refuse_usage)]


class ReceiveConnectorOut(ReceiveConnector):
    """A Receive connector of the draft."""

    id: str


@router.get("", response_model=Page[ReceiveConnectorOut])
async def list_connectors(
    caller: Viewer,
    session: ReadSession,
    asked: AskedPage,
    name: Annotated[str | None, Query(max_length=256)] = None,
) -> Response:
    """Those of the draft."""
    return await list_pieces(session, asked, KIND, name)


@router.post("", status_code=201, response_model=ReceiveConnectorOut)
async def create_connector(caller: Operator, session: WriteSession, body: ReceiveConnector) -> Response:
    """Adds one to the draft."""
    return json_of(await pieces.create(session, caller, KIND, body), status=201)


@router.get("/{piece_id}", response_model=ReceiveConnectorOut)
async def get_connector(caller: Viewer, session: ReadSession, piece_id: str) -> Response:
    return json_of(await pieces.get(session, KIND, piece_id))


@router.put("/{piece_id}", response_model=ReceiveConnectorOut)
async def replace_connector(
    caller: Operator, session: WriteSession, match: IfMatch, piece_id: str, body: Settings
) -> Response:
    """Sets every setting; another name is a rename, and the id stays."""
    return json_of(await pieces.replace(session, caller, (KIND, piece_id), match, body))


@router.patch("/{piece_id}", response_model=ReceiveConnectorOut)
async def change_connector(
    caller: Operator, session: WriteSession, match: IfMatch, piece_id: str, body: Changes
) -> Response:
    """JSON Merge Patch (RFC 7396): null resets a setting to its default."""
    return json_of(await pieces.patch(session, caller, (KIND, piece_id), match, body))


@router.delete("/{piece_id}")
async def remove_connector(caller: Operator, session: WriteSession, match: IfMatch, piece_id: str) -> Removed:
    """Takes it out of the draft."""
    await pieces.remove(session, caller, KIND, piece_id, match)
    return Removed(removed=piece_id)


@router.get("/{piece_id}/ranges")
async def list_connector_ranges(
    *,
    caller: Viewer,
    session: ReadSession,
    asked: AskedPage,
    piece_id: str,
    unused_since: Annotated[
        AwareDatetime | None, Query(description="Only ranges that took nobody since then")
    ] = None,
) -> Page[ConnectorRange]:
    """Each range with its note, its end, and when it last took a client on any server."""
    begin = 0 if asked.after_number is None else asked.after_number + 1
    numbered = list(enumerate(await service.used_ranges(session, piece_id, unused_since)))
    page = asked.page(numbered[begin : begin + asked.limit + 1], lambda pair: pair[0])
    return Page(items=[row for _, row in page.items], next_cursor=page.next_cursor)


class AnonymousRelay(BaseModel):
    """One of the two methods; choosing one removes the other."""

    model_config = ConfigDict(extra="forbid")

    method: Literal["anonymous", "externally_secured"]


@router.post("/{piece_id}/anonymous-relay", response_model=ReceiveConnectorOut)
async def set_anonymous_relay(
    caller: Operator, session: WriteSession, match: OptionalIfMatch, piece_id: str, body: AnonymousRelay
) -> Response:
    """Lets the connector's hosts relay: as anonymous senders (the least rights), or as trusted ones."""
    return json_of(await service.set_anonymous_relay(session, caller, piece_id, match, body.method))
