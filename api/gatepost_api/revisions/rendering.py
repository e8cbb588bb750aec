"""What a revision means for each server: pure, plain values, runs in the workshop.

Servers whose labels are equal, and whose names nobody mentions, share one rendering: ten thousand servers of
five sites cost five.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from gatepost.policy.model.bundle import RelayUser, Server, canonical_bytes, digest, render
from gatepost.policy.model.document import FleetDocument
from gatepost_api.documents import digest_of


class ServerFacts(NamedTuple):
    """What bundles and offers depend on."""

    id: str
    name: str
    fqdn: str
    labels: dict[str, str]
    addresses: dict[str, str]


class Rendered(NamedTuple):
    """A revision's text and digest, every bundle's bytes by digest, and the digest that each server gets."""

    text: str
    digest: str
    bundles: Mapping[str, bytes]
    by_server: Mapping[str, str]


def mentioned(document: FleetDocument) -> frozenset[str]:
    """Every server name that the document uses; such a server may differ from its equals."""
    lists: Iterable[Sequence[str]] = (
        *(connector.servers for connector in document.connectors),
        *(connector.servers for connector in document.send_connectors),
        *(assertion.servers for assertion in document.assertions),
    )
    names = {name for selectors in lists for name in selectors}
    return frozenset(names | {test.server for test in document.tests})


def render_fleet(
    document: FleetDocument, servers: Sequence[ServerFacts], users: Sequence[RelayUser]
) -> Rendered:
    """Render a document for every server."""
    return _render(document, canonical_bytes(document).decode(), servers, users)


def render_published(text: str, servers: Sequence[ServerFacts], users: Sequence[RelayUser]) -> Rendered:
    """Render a revision's text for servers or relay users that came later; the text is parsed once for many."""
    return _render(_published(text), text, servers, users)


@lru_cache(maxsize=2)
def _published(text: str) -> FleetDocument:
    return FleetDocument.model_validate_json(text)


def _render(
    document: FleetDocument, text: str, servers: Sequence[ServerFacts], users: Sequence[RelayUser]
) -> Rendered:
    names = mentioned(document)
    bundles: dict[str, bytes] = {}
    known: dict[object, str] = {}
    by_server: dict[str, str] = {}
    for facts in servers:
        key = (tuple(sorted(facts.labels.items())), facts.name if facts.name in names else None)
        if key not in known:
            server = Server(name=facts.name, labels=facts.labels, addresses=facts.addresses, fqdn=facts.fqdn)
            payload = canonical_bytes(render(document, server, users))
            known[key] = digest(payload)
            bundles[known[key]] = payload
        by_server[facts.id] = known[key]
    return Rendered(text=text, digest=digest_of(text), bundles=bundles, by_server=by_server)
