"""Servers as they are edited and shown."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.mailboxes import parse_domain

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
LABEL_VALUE = re.compile(r"[A-Za-z0-9._-]{1,63}")


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise BadValue(
            text, "not a server name", "Use up to 63 letters, digits, dots, dashes and underscores."
        )
    return text


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if not NAME.fullmatch(key) or not LABEL_VALUE.fullmatch(value):
            raise BadValue(f"{key}={value}", "not a label", "Write it as site=fra.")
    return labels


def _addresses(addresses: dict[str, str]) -> dict[str, str]:
    for key, value in addresses.items():
        if not NAME.fullmatch(key):
            raise BadValue(key, "not the name of an address", "Write it as internal=10.1.1.1.")
        if not _is_unicast(value):
            raise BadValue(value, "not one unicast address", "Give the address that the host has: 10.1.1.1.")
    return {key: str(parse_address(value)) for key, value in addresses.items()}


def _is_unicast(text: str) -> bool:
    address = parse_address(text)
    if address.version == 4:
        return 0 < address.value < 0xE0000000
    return 0 < address.value < 0xFF << 120


def _fqdn(text: str) -> str:
    return parse_domain(text) if text else ""


ServerName = Annotated[str, AfterValidator(_name)]
Labels = Annotated[dict[str, str], Field(max_length=32), AfterValidator(_labels)]
Addresses = Annotated[dict[str, str], Field(max_length=32), AfterValidator(_addresses)]
Fqdn = Annotated[str, Field(max_length=255), AfterValidator(_fqdn)]


class ServerPatch(BaseModel):
    """A merge patch (RFC 7396) of what an operator sets; it takes effect with the next publish."""

    model_config = ConfigDict(extra="forbid")

    labels: Labels | None = None
    addresses: Addresses | None = None
    fqdn: Fqdn | None = None


class AssignmentOut(BaseModel):
    """What the server shall run. `state`: none, pending, offered, applying, running, settled, rejected,
    rolled_back, blocked (by findings) or held (until adopt or overwrite)."""

    model_config = ConfigDict(from_attributes=True)

    generation: int
    digest: str | None
    revision: int | None
    state: str
    reason: str
    changed_at: datetime


class ServerOut(BaseModel):
    """A server: `running` and `last_attempt` are two facts that the agent reported, kept apart."""

    id: str
    name: str
    state: str
    fqdn: str
    labels: dict[str, str]
    addresses: dict[str, str]
    unpublished: bool = Field(description="Whether labels, addresses or fqdn wait for the next publish")
    created_at: datetime
    online: bool
    last_seen: datetime
    assignment: AssignmentOut
    running: dict[str, Any] | None
    last_attempt: dict[str, Any] | None
    health: dict[str, Any]
    facts: dict[str, Any]


class AttemptOut(BaseModel):
    """How one generation ended on a server."""

    model_config = ConfigDict(from_attributes=True)

    generation: int
    digest: str
    outcome: str
    phase: str
    errors: list[Any]
    at: datetime


class VerbIn(BaseModel):
    """Why a verb is used; kept in the audit trail."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=1000)] = ""
