"""Where accepted mail goes: send connectors -> the next hops for a recipient's domain, in order. Pure.

The most specific address space wins (Exchange's rule): `contoso.com`, then `*.contoso.com`, which holds contoso.com
and all below it, then `*.com`, then `*`. Only connectors of that one address space are used, the lowest cost first, the
others when it fails: mail for a partner's domain never falls back to the connector for everybody.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from gatepost.policy.model.send_connector import SendConnector, parse_address_space, parse_smart_host


class SmartHost(NamedTuple):
    """A host that was named: `host` is a domain name or an IP address."""

    connector: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Mx(NamedTuple):
    """The hosts that DNS names for a domain (RFC 5321 5.1); `domain` may be an address literal in brackets."""

    connector: str
    domain: str
    port: int

    def __str__(self) -> str:
        return f"mx:{self.domain}" if self.port == 25 else f"mx:{self.domain}:{self.port}"


Hop = SmartHost | Mx
_MOST_KNOWN = 10_000


class Route(NamedTuple):
    """Next hops, the first to be tried first. Never empty."""

    hops: tuple[Hop, ...]


class NoRoute(NamedTuple):
    """No send connector takes the domain."""

    reason: str


class Routes:
    """A set of send connectors, compiled for lookups."""

    def __init__(self, connectors: Iterable[SendConnector]) -> None:
        spaces: dict[str, list[tuple[int, str, SendConnector]]] = {}
        for connector in connectors:
            if connector.enabled:
                for pattern, cost in map(parse_address_space, connector.address_spaces):
                    spaces.setdefault(pattern, []).append((cost, connector.name, connector))
        self._spaces = {
            pattern: tuple(_Exit.of(connector) for _, _, connector in sorted(rows, key=lambda row: row[:2]))
            for pattern, rows in spaces.items()
        }
        self._known: dict[
            str, tuple[_Exit, ...]
        ] = {}  # by domain: the same few are asked for again and again

    def find(self, domain: str) -> Route | NoRoute:
        """The route for a domain (lower-case A-labels, or an address literal in brackets)."""
        exits = self._known.get(domain)
        if exits is None:
            exits = next((self._spaces[p] for p in _patterns(domain) if p in self._spaces), ())
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[domain] = exits
        if not exits:
            return NoRoute(f"no send connector has an address space for {domain}")
        if len(exits) == 1:
            return Route(exits[0].hops(domain))
        return Route(tuple(hop for exit_ in exits for hop in exit_.hops(domain)))


class _Exit(NamedTuple):
    """A send connector's hops: its smart hosts, or none for MX."""

    connector: str
    port: int
    hosts: tuple[SmartHost, ...]

    @classmethod
    def of(cls, connector: SendConnector) -> "_Exit":
        hosts = tuple(SmartHost(connector.name, *parse_smart_host(text)) for text in connector.smart_hosts)
        return cls(connector=connector.name, port=connector.port, hosts=hosts)

    def hops(self, domain: str) -> tuple[Hop, ...]:
        return self.hosts or (Mx(self.connector, domain, self.port),)


def turned(hops: tuple[Hop, ...], turn: int) -> tuple[Hop, ...]:
    """A route's hops, with the next smart host of each send connector first at each turn.

    The others of a connector follow in their order; `turn` is any number that rises by one.
    """
    groups = [tuple(group) for _, group in groupby(hops, key=lambda hop: hop.connector)]
    firsts = [turn % len(group) for group in groups]
    return tuple(hop for group, n in zip(groups, firsts, strict=True) for hop in group[n:] + group[:n])


def _patterns(domain: str) -> Iterator[str]:
    """The address spaces that hold a domain, the most specific first."""
    yield domain
    if not domain.startswith("["):
        labels = domain.split(".")
        for start in range(len(labels)):
            yield "*." + ".".join(labels[start:])
    yield "*"
