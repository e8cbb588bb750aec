"""A fleet document on the servers it would run on, compiled once for all servers that run the same.

`plan` compares two of them. The side that is published changes rarely and is worth keeping; making the other one
is nearly all that a plan costs.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from gatepost.policy.analysis.document_tests import TestResult, run_tests
from gatepost.policy.analysis.exposure import NO_EXPOSURE, Exposure, exposure
from gatepost.policy.analysis.ranges import RangeSet, ranges
from gatepost.policy.dialogue.compiled import (
    CannotCompile,
    CompiledConnector,
    Policy,
    compile_policy,
    live_ranges,
)
from gatepost.policy.model.addresses import parse_binding
from gatepost.policy.model.bundle import Bundle, RelayUser, Server, canonical_bytes, digest, render, selects
from gatepost.policy.model.connector import ReceiveConnector
from gatepost.policy.model.document import DialogueTest, FleetDocument


class Group:
    """Servers that take and relay the same: equal parts of the document, equal addresses where bindings name them.

    bundle: theirs, without tests, which differ by server. policy: None when it cannot be compiled; `problems` says
    why.
    """

    def __init__(self, servers: tuple[Server, ...], bundle: Bundle, now: float) -> None:
        self.servers = servers
        self.bundle = bundle
        self.policy: Policy | None = None
        self.problems: tuple[str, ...] = ()
        try:
            self.policy = compile_policy(
                bundle, addresses=servers[0].addresses, fqdn=_fqdn(servers[0]), now=now
            )
        except CannotCompile as error:
            self.problems = error.problems

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(server.name for server in self.servers)

    @property
    def addresses(self) -> Mapping[str, str]:
        """The named addresses, equal in all of the group as far as bindings name them."""
        return self.servers[0].addresses

    @cached_property
    def digest(self) -> str:
        return digest(canonical_bytes(self.bundle))

    @cached_property
    def exposure(self) -> Exposure:
        return exposure(self.policy) if self.policy else NO_EXPOSURE

    @cached_property
    def listeners(self) -> frozenset[str]:
        return frozenset(str(binding) for binding in self.policy.bindings) if self.policy else frozenset()


class _Key(NamedTuple):
    selected: frozenset[tuple[str, ...]]
    addresses: tuple[tuple[str, str | None], ...]


class _Parsed(NamedTuple):
    ranges: RangeSet
    repeats: bool


class Side:
    """A document, the servers and relay users it is for, and the time (seconds since 1970) it is compiled for."""

    def __init__(
        self,
        document: FleetDocument,
        servers: Iterable[Server],
        *,
        now: float,
        users: Iterable[RelayUser] = (),
    ) -> None:
        self.document = document
        self.servers = {server.name: server for server in servers}
        self.users = tuple(users)
        self.now = now
        self.groups = tuple(self._grouped())
        self._by_name = {name: group for group in self.groups for name in group.names}
        self._known: dict[str, _Parsed] = {}

    def group(self, server: str) -> Group | None:
        """The group of a server; None where the side does not know it."""
        return self._by_name.get(server)

    def digest(self, server: str) -> str:
        """The digest of the bundle that a server of this side runs, tests included."""
        if server not in self.tests:
            return self._by_name[server].digest
        return digest(canonical_bytes(render(self.document, self.servers[server], self.users)))

    def policy(self, server: str) -> Policy | None:
        """The policy of one server under its own name; None where it cannot be compiled."""
        policy = self._by_name[server].policy
        return policy.renamed(_fqdn(self.servers[server])) if policy else None

    def ranges(self, connector: ReceiveConnector) -> RangeSet:
        """The live ranges of one of the document's connectors."""
        return self._parsed(connector).ranges

    def repeats(self, connector: ReceiveConnector) -> bool:
        """Whether a range stands twice in it, in whatever notation."""
        return self._parsed(connector).repeats

    def _parsed(self, connector: ReceiveConnector) -> _Parsed:
        known = self._known.get(connector.name)
        if known is None:
            live = list(live_ranges(connector, self.now))
            known = _Parsed(ranges(live), len({(v, lo, hi) for v, lo, hi, _ in live}) < len(live))
            self._known[connector.name] = known
        return known

    def relaying(self, group: Group) -> tuple[ReceiveConnector, ...]:
        """A group's connectors whose unproved principal holds Accept-Any-Recipient."""
        return tuple(model for model in group.bundle.connectors if model.name in self._relaying)

    def unplaced(self) -> Iterator[tuple[ReceiveConnector, ...]]:
        """Enabled connectors with that right which no known server takes, those of equal selectors together."""
        placed = {model.name for group in self.groups for model in group.bundle.connectors}
        found: dict[tuple[str, ...], list[ReceiveConnector]] = {}
        for model in self.document.connectors:
            if model.enabled and model.name in self._relaying and model.name not in placed:
                found.setdefault(model.servers, []).append(model)
        return map(tuple, found.values())

    @cached_property
    def _relaying(self) -> frozenset[str]:
        compiled = (CompiledConnector(model, "") for model in self.document.connectors)
        return frozenset(connector.name for connector in compiled if connector.relays_unproved)

    @cached_property
    def tests(self) -> Mapping[str, tuple[DialogueTest, ...]]:
        """The document's tests by server, those of unknown servers included."""
        found: dict[str, list[DialogueTest]] = {}
        for test in self.document.tests:
            found.setdefault(test.server, []).append(test)
        return {server: tuple(tests) for server, tests in found.items()}

    @cached_property
    def test_results(self) -> Mapping[str, tuple[TestResult, ...]]:
        """How the tests go, by server, where there is a policy to ask."""
        asked = ((server, self.policy(server)) for server in self.tests if server in self.servers)
        return {server: run_tests(policy, self.tests[server], self.now) for server, policy in asked if policy}

    def _grouped(self) -> Iterator[Group]:
        document = self.document
        selectors = {
            *(connector.servers for connector in document.connectors),
            *(connector.servers for connector in document.send_connectors),
            *(assertion.servers for assertion in document.assertions),
        }
        names = sorted(_named_addresses(document))
        found: dict[_Key, list[Server]] = {}
        for server in self.servers.values():
            selected = frozenset(wanted for wanted in selectors if selects(wanted, server))
            addresses = tuple((name, server.addresses.get(name)) for name in names)
            found.setdefault(_Key(selected, addresses), []).append(server)
        untested = document.model_copy(update={"tests": ()})
        for servers in found.values():
            yield Group(tuple(servers), render(untested, servers[0], self.users), self.now)


def _named_addresses(document: FleetDocument) -> set[str]:
    texts = {text for connector in document.connectors for text in connector.bindings}
    return {name for text in texts if (name := parse_binding(text).name) is not None}


def _fqdn(server: Server) -> str:
    return server.fqdn or server.name
