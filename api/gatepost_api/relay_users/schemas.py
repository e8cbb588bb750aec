"""Relay users as they are asked for and shown; a secret is in the one answer that made it."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gatepost.policy.model.base import Name
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.rights import USER_PREFIX, parse_principal
from gatepost.policy.model.values import MailAddress, Note

MAX_SENDERS = 100


def _principal(name: str) -> str:
    """The name, if `user:<name>` is a principal of its own that permissions can name."""
    principal = f"{USER_PREFIX}{name}"
    if parse_principal(principal) != principal.lower():
        raise BadValue(name, "a name that permissions take for somebody else", "Leave out the backslash.")
    return name


def _once(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses that differ; case does not tell two of them apart where senders are checked."""
    return tuple({address.lower(): address for address in reversed(addresses)}.values())[::-1]


UserName = Annotated[Name, AfterValidator(_principal)]
Senders = Annotated[
    tuple[MailAddress, ...],
    Field(max_length=MAX_SENDERS),
    AfterValidator(_once),
]


class RelayUserIn(BaseModel):
    """A user to create. `senders`: the addresses that it may send as whatever the connector's rights say."""

    model_config = ConfigDict(extra="forbid")

    name: UserName
    senders: Senders = ()
    comment: Note = ""


class RelayUserPatch(BaseModel):
    """A merge patch (RFC 7396). The name stays: permissions, tests and devices use it."""

    model_config = ConfigDict(extra="forbid")

    senders: Senders | None = None
    comment: Note | None = None


class RelayUserOut(BaseModel):
    """A relay user; in permissions it is the principal `user:<name>`."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    senders: list[str]
    comment: str
    created_by: str
    created_at: datetime
    secret_since: datetime


class RelayUserChanged(BaseModel):
    """A relay user, and the servers (by name) that were given a new generation by the change."""

    user: RelayUserOut
    changed_servers: list[str]


class RelayUserSecret(RelayUserChanged):
    """The one answer that shows the secret: 128 random bits as url-safe text, the password for the device."""

    secret: str
