"""Fleet documents between their text, their pieces in the database, and problems; plain values, safe to pickle."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from gatepost.documents import DocumentError, dump_document, load_document, validate
from gatepost.policy.model.base import Configured
from gatepost.policy.model.bundle import digest
from gatepost.policy.model.connector import ReceiveConnector
from gatepost.policy.model.document import AcceptedDomain, FleetDocument
from gatepost.policy.model.errors import Fault, faults
from gatepost.policy.model.send_connector import SendConnector
from gatepost_api.errors import FieldError, Invalid

# Kinds of pieces that are edited one by one: the document's key, and the field that names a piece.
KINDS = {"accepted_domains": "domain", "connectors": "name", "send_connectors": "name"}
REST = ("tests", "assertions")
PIECE_CHARS, RANGE_CHARS = 200, 20


MODELS: Mapping[str, type[Configured]] = {
    "accepted_domains": AcceptedDomain,
    "connectors": ReceiveConnector,
    "send_connectors": SendConnector,
}


class Parsed(NamedTuple):
    """A document that was read: its content as plain JSON values, or everything that is wrong with it."""

    content: dict[str, Any]
    faults: tuple[Fault, ...] = ()


def weight(content: Mapping[str, Any]) -> int:
    """About how many characters a document has, without writing it: what the workshop decides by."""
    pieces = (piece for listed in content.values() if isinstance(listed, list) for piece in listed)
    return sum(
        PIECE_CHARS + sum(RANGE_CHARS * len(value) for value in piece.values() if isinstance(value, list))
        for piece in pieces
        if isinstance(piece, dict)
    )


def content_of(document: FleetDocument) -> dict[str, Any]:
    """The document as JSON values, fields at their default left out."""
    content: dict[str, Any] = document.model_dump(mode="json", exclude_defaults=True)
    return content


def parse(text: str) -> Parsed:
    """A YAML or JSON text; runs in the workshop."""
    try:
        return Parsed(content_of(load_document(text)))
    except DocumentError as error:
        return Parsed({}, error.faults)


def check(content: dict[str, Any]) -> Parsed:
    """Content put together from pieces; runs in the workshop."""
    try:
        return Parsed(content_of(validate(content)))
    except DocumentError as error:
        return Parsed({}, error.faults)


def digest_of(text: str) -> str:
    return digest(text.encode())


def piece_of(kind: str, body: object) -> Configured:
    """The model of one piece. Raises Invalid with every fault."""
    try:
        return MODELS[kind].model_validate(body)
    except ValidationError as error:
        raise invalid(faults(error, body)) from error


def body_of(piece: Configured) -> dict[str, Any]:
    """A piece as it is stored: fields at their default left out."""
    body: dict[str, Any] = piece.model_dump(mode="json", exclude_defaults=True)
    return body


def with_defaults(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A stored piece with every setting in it, as it is shown."""
    return _defaults(kind) | dict(body)


@lru_cache
def _defaults(kind: str) -> dict[str, Any]:
    fields = MODELS[kind].model_fields
    return {
        name: to_jsonable_python(field.get_default(call_default_factory=True))
        for name, field in fields.items()
        if not field.is_required()
    }


def document_of(content: dict[str, Any]) -> FleetDocument:
    """The model of content. Raises Invalid."""
    try:
        return validate(content)
    except DocumentError as error:
        raise invalid(error.faults) from error


def as_yaml(content: dict[str, Any]) -> str:
    return dump_document(document_of(content))


def as_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def field_errors(faults: Sequence[Fault]) -> list[FieldError]:
    return [
        FieldError(
            pointer=fault.pointer,
            type=fault.type,
            detail=fault.detail,
            value=fault.value,
            remedy=fault.remedy,
        )
        for fault in faults
    ]


def invalid(faults: Sequence[Fault]) -> Invalid:
    """The problem that names every fault."""
    return Invalid(
        "The document holds values that are refused; nothing was stored.", errors=field_errors(faults)
    )
