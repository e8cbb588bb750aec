"""The bundle: what a server runs, rendered from a document by a pure function, symbolic in named addresses.

Servers whose content is equal share a bundle. It is addressed by the digest of its canonical bytes, in which
a field at its default is not written: old agents take the bundles of new control planes as long as no new
setting is used, and reject them (unknown field) as soon as one is.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from gatepost.policy.model.base import Configured, Name
from gatepost.policy.model.connector import ReceiveConnector
from gatepost.policy.model.document import AcceptedDomain, Assertion, DialogueTest, FleetDocument
from gatepost.policy.model.send_connector import SendConnector

SCHEMA = 1


class Server(NamedTuple):
    """A mail host as the control plane knows it; `addresses` maps a name to one unicast address."""

    name: str
    labels: Mapping[str, str] = {}
    addresses: Mapping[str, str] = {}
    fqdn: str = ""


class RelayUser(Configured):
    """A relay user as agents see it: `verifier` is `sha256:<salt hex>:<digest hex>` of a generated secret."""

    name: Name
    verifier: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{32}:[0-9a-f]{64}$")]
    senders: tuple[str, ...] = ()


class Bundle(Configured):
    """A server's whole configuration. `servers` of its parts is what the operator wrote, for findings' ids."""

    # Not `Literal[SCHEMA]` alone: a bundle always says its schema, so it is in the canonical bytes.
    schema_number: Literal[1]
    accepted_domains: tuple[AcceptedDomain, ...] = ()
    connectors: tuple[ReceiveConnector, ...] = ()
    send_connectors: tuple[SendConnector, ...] = ()
    tests: tuple[DialogueTest, ...] = ()
    assertions: tuple[Assertion, ...] = ()
    users: tuple[RelayUser, ...] = ()


def selects(selectors: Iterable[str], server: Server) -> bool:
    """Whether a list of names, `*` and `label=value` selectors holds the server."""
    for selector in selectors:
        key, equals, value = selector.partition("=")
        if selector in ("*", server.name) or (equals and server.labels.get(key) == value):
            return True
    return False


def render(document: FleetDocument, server: Server, users: Iterable[RelayUser] = ()) -> Bundle:
    """What `server` runs of a document. Relay users go only where a connector asks for passwords."""
    connectors = tuple(c for c in document.connectors if c.enabled and selects(c.servers, server))
    takes_passwords = any("BasicAuth" in connector.auth_mechanism for connector in connectors)
    return Bundle(
        schema_number=SCHEMA,
        accepted_domains=document.accepted_domains,
        connectors=connectors,
        send_connectors=tuple(
            s for s in document.send_connectors if s.enabled and selects(s.servers, server)
        ),
        tests=tuple(test for test in document.tests if test.server == server.name),
        assertions=tuple(a for a in document.assertions if selects(a.servers, server)),
        users=tuple(users) if takes_passwords else (),
    )


def canonical_bytes(model: Configured) -> bytes:
    """The one encoding that is digested and signed: sorted keys, no spaces, defaults left out, UTF-8."""
    content = model.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(content: bytes) -> str:
    """`sha256:<hex>` of canonical bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
