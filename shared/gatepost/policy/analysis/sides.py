"""A fleet document on the servers it would run on, compiled once for all servers that run the same.

`plan` compares two of them. The side that is published changes rarely and is worth keeping; making the other one
is nearly all that a plan costs.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from gatepost.policy.analysis.exposure import NO_EXPOSURE, Exposure, exposure, raw_union
from gatepost.policy.analysis.ranges import EMPTY, RangeSet
from gatepost.policy.dialogue.compiled import CannotCompile, Policy, compile_policy
from gatepost.policy.model.addresses import parse_binding
from gatepost.policy.model.bundle import Bundle, RelayUser, Server, canonical_bytes, digest, render, selects
from gatepost.policy.model.document import FleetDocument


class Group:
    """Servers that take and relay the same: equal parts of the document, equal addresses where bindings name them.

    bundle: theirs, without tests, which differ by server. policy: None when it cannot be compiled; `problems` says
    why.
    """

    def __init__(self, servers: tuple[Server, ...], bundle: Bundle, now: float) -> None:
        self.servers = servers
        self.bundle = bundle
        self.now = now
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
        return self.servers[0].addresses

    @cached_property
    def digest(self) -> str:
        return digest(canonical_bytes(self.bundle))

    @cached_property
    def exposure(self) -> Exposure:
        return exposure(self.policy) if self.policy else NO_EXPOSURE

    @cached_property
    def raw_union(self) -> RangeSet:
        return raw_union(self.policy, self.now) if self.policy else EMPTY

    @cached_property
    def listeners(self) -> frozenset[str]:
        return frozenset(str(binding) for binding in self.policy.bindings) if self.policy else frozenset()


class _Key(NamedTuple):
    selected: frozenset[tuple[str, ...]]
    addresses: tuple[tuple[str, str | None], ...]


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
        self._tested = frozenset(test.server for test in document.tests)

    def group(self, server: str) -> Group | None:
        """The group of a server; None where the side does not know it."""
        return self._by_name.get(server)

    def digest(self, server: str) -> str:
        """The digest of the bundle that a server of this side runs, tests included."""
        group = self._by_name[server]
        if server not in self._tested:
            return group.digest
        return digest(canonical_bytes(render(self.document, self.servers[server], self.users)))

    def policy(self, server: str) -> Policy | None:
        """The policy of one server under its own name; None where it cannot be compiled."""
        group = self._by_name[server]
        return group.policy.renamed(_fqdn(self.servers[server])) if group.policy else None

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
