"""Which addresses a next hop stands for, and which of them a stranger's DNS may not lead us to."""

import ipaddress
import random
from collections.abc import Callable, Collection
from itertools import groupby
from typing import NamedTuple

from gatepost.policy.dialogue.routing import Hop, Mx, SmartHost
from gatepost.policy.model.addresses import parse_literal
from gatepost_agent.delivery.dns import MxHost, Resolver
from gatepost_agent.delivery.errors import HopFailed, NoSuchDomain

MOST_TARGETS = 8  # addresses tried for one next hop
IMPLICIT = -1  # the "preference" of a domain that is its own mail host
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Target(NamedTuple):
    """One address to dial; `name` is what the certificate must be for."""

    name: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class Finder:
    """Next hop -> targets, the first to be tried first."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        own: Collection[str] = (),
        shuffle: Callable[[list[MxHost]], None] = random.shuffle,
    ) -> None:
        """`own`: this host's addresses and names, where MX may not lead."""
        self._resolver = resolver
        self._shuffle = shuffle
        self.know(own)

    def know(self, own: Collection[str]) -> None:
        """This host's addresses and names from now on."""
        self._own = frozenset(map(_usual, own))

    async def find(self, hop: Hop, *, allow_private: bool) -> list[Target]:
        """Raises HopFailed (not now) or NoSuchDomain (never)."""
        if isinstance(hop, SmartHost):
            # The operator named it: private and loopback addresses are the usual case.
            addresses = [hop.host] if _is_ip(hop.host) else await self._resolver.named(hop.host)
            targets = [Target(hop.host, address, hop.port) for address in addresses]
        else:
            targets = [t for t in await self._by_mx(hop) if allow_private or self._is_outside(t.address)]
        if not targets:
            raise HopFailed(f"{hop} leads to no address that may be used", status="4.4.4")
        return targets[:MOST_TARGETS]

    async def _by_mx(self, hop: Mx) -> list[Target]:
        if hop.domain.startswith("["):
            address = str(parse_literal(hop.domain))
            return [Target(address, address, hop.port)]
        records = await self._hosts(hop.domain)
        targets: list[Target] = []
        unknown: HopFailed | None = None
        for record in records:
            host = record.host.removesuffix(".").lower()
            try:
                targets += [Target(host, a, hop.port) for a in await self._resolver.addresses(host)]
            except NoSuchDomain:
                continue  # a dead MX record says nothing about the domain
            except HopFailed as error:
                unknown = error
            if len(targets) >= MOST_TARGETS:
                break
        if not targets and unknown:
            raise unknown
        if not targets and records[0].preference == IMPLICIT:
            raise NoSuchDomain(f"{hop.domain} has neither MX nor address", status="5.1.2")
        return targets

    async def _hosts(self, domain: str) -> list[MxHost]:
        """MX hosts, best first, equal ones shuffled; the domain itself when it has none (RFC 5321 5.1)."""
        records = sorted(await self._resolver.mx(domain))
        if [record.host for record in records] == ["."]:
            raise NoSuchDomain(f"{domain} takes no mail (null MX)", status="5.1.10")
        hosts: list[MxHost] = []
        for _, group in groupby(records, key=lambda record: record.preference):
            equal = [*group]
            self._shuffle(equal)
            if any(record.host.removesuffix(".").lower() in self._own for record in equal):
                # We are one of its hosts: only better ones may be tried, or mail goes in circles.
                break
            hosts += equal
        if records and not hosts:
            raise HopFailed(f"{domain}: we are its best mail host ourselves", status="4.4.6")
        return hosts or [MxHost(IMPLICIT, domain)]

    def _is_outside(self, address: str) -> bool:
        ip = ipaddress.ip_address(address)
        if isinstance(ip, ipaddress.IPv6Address):
            if ip.sixtofour or ip.teredo or ip in _NAT64:
                return False  # an IPv4 address in disguise
            ip = ip.ipv4_mapped or ip
        return str(ip) not in self._own and ip.is_global and not ip.is_multicast


def _usual(name: str) -> str:
    """A name, or an address, in the one form that is compared."""
    return str(ipaddress.ip_address(name)) if _is_ip(name) else name.lower()


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
