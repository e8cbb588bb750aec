"""A bundle made ready for sessions: numbers for texts, tables for ranges, rights worked out once.

`compile_policy` is the only way from a bundle to a session, for the agent, explain, plan and the tests alike.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from math import inf
from typing import NamedTuple

from gatepost.policy.dialogue.domains import AcceptedDomains, DomainSet
from gatepost.policy.dialogue.routing import Routes
from gatepost.policy.dialogue.selection import Conflict, Listing, Match, Table, conflicts
from gatepost.policy.model.addresses import (
    Address,
    AddressRange,
    Binding,
    parse_binding,
    parse_range,
    parse_unicast,
)
from gatepost.policy.model.bundle import Bundle, RelayUser
from gatepost.policy.model.connector import RangeEntry, ReceiveConnector
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.rights import (
    ANONYMOUS,
    AUTHENTICATED_USERS,
    EXTERNALLY_SECURED,
    USER_PREFIX,
    Ace,
    Right,
    deciding,
)
from gatepost.policy.model.values import seconds, size_bytes

UNLIMITED = 2**62


class Endpoint(NamedTuple):
    """One end of a TCP connection."""

    address: Address
    port: int


class CannotCompile(ValueError):
    """A bundle that no session can run under: `problems` says why, naming what is wrong."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _number(limit: int | str) -> int:
    return UNLIMITED if isinstance(limit, str) else limit


class CompiledConnector:
    """A connector as sessions use it: times in seconds, sizes in octets, no limit as `UNLIMITED`."""

    def __init__(self, model: ReceiveConnector, fqdn: str) -> None:
        self.model = model
        self.name = model.name
        self.fqdn = model.fqdn or fqdn
        self.session_s = seconds(model.connection_timeout)
        self.idle_s = seconds(model.connection_inactivity_timeout)
        self.tarpit_s = float(seconds(model.tarpit_interval))
        self.auth_tarpit_s = float(seconds(model.auth_tarpit_interval))
        self.max_message_bytes = size_bytes(model.max_message_size)
        self.max_header_bytes = size_bytes(model.max_header_size)
        self.max_sessions = _number(model.max_inbound_connection)
        self.max_sessions_per_source = _number(model.max_inbound_connection_per_source)
        self.max_protocol_errors = _number(model.max_protocol_errors)
        self.messages_per_minute = _number(model.message_rate_limit)
        self.connections_per_minute = _number(model.connection_rate_limit)
        self.recipients_per_minute = _number(model.recipient_rate_limit)
        self.senders = DomainSet(model.allowed_sender_domains)
        self.recipients = DomainSet(model.allowed_recipient_domains)
        self._tolerances = frozenset[str](model.tolerances)
        self.first_principal = EXTERNALLY_SECURED if model.externally_secured else ANONYMOUS
        self.deciding = cache(lambda principal: deciding(model.aces, token(principal)))
        self.relays_unproved = self.holds(self.first_principal, Right.ANY_RECIPIENT)

    def holds(self, principal: str, right: Right) -> bool:
        ace = self.deciding(principal).get(right)
        return ace is not None and not ace.deny

    def tolerates(self, departures: Collection[str]) -> bool:
        """Whether all of these, by the names of Tolerance, are let pass here."""
        return self._tolerances.issuperset(departures)

    def rights(self, principal: str) -> frozenset[Right]:
        """The rights a session of this principal has here."""
        return frozenset(right for right, ace in self.deciding(principal).items() if not ace.deny)

    def ace(self, principal: str, right: Right) -> Ace | None:
        """The entry that decided a right; None: no entry speaks of it, so it is not held."""
        return self.deciding(principal).get(right)


def token(principal: str) -> tuple[str, ...]:
    """The principals in a session's token: after AUTH only the user's rights count, not the anonymous ones."""
    return (principal, AUTHENTICATED_USERS) if principal.startswith(USER_PREFIX) else (principal,)


class Policy:
    """What one server runs, compiled. Immutable: a new config is a new Policy.

    tables: by local address and port. next_change: seconds since 1970 at which a range expires and the bundle is to
    be compiled again, None for never.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        fqdn: str,
        addresses: Mapping[str, str],
        now: float,
        tables: Mapping[Binding, Table],
    ) -> None:
        self.bundle = bundle
        self.fqdn = fqdn
        self.addresses = addresses
        self.compiled_at = now
        self.expiries = tuple(expiries(bundle))
        self.next_change = min((until for until in self.expiries if until > now), default=None)
        self.connectors = {model.name: CompiledConnector(model, fqdn) for model in bundle.connectors}
        self.accepted = AcceptedDomains(bundle.accepted_domains)
        self.routes = Routes(bundle.send_connectors)
        self.users: Mapping[str, RelayUser] = {user.name.lower(): user for user in bundle.users}
        self.local_names = frozenset({fqdn.lower(), *(c.fqdn.lower() for c in self.connectors.values())})
        self.bindings = tuple(tables)
        self.tables = {_key(binding): table for binding, table in tables.items()}
        self._by_binding = tables

    def renamed(self, fqdn: str) -> "Policy":
        """The same policy on a server of another name: what is costly to compile is shared."""
        if fqdn == self.fqdn:
            return self
        return Policy(
            self.bundle, fqdn=fqdn, addresses=self.addresses, now=self.compiled_at, tables=self._by_binding
        )

    def at(self, now: float) -> "Policy":
        """The same bundle at another time: itself, unless a range expires between the two."""
        first, last = sorted((self.compiled_at, now))
        if not any(first < until <= last for until in self.expiries):
            return self
        return compile_policy(self.bundle, addresses=self.addresses, fqdn=self.fqdn, now=now)

    def select(self, local: Endpoint, remote: Address) -> Match | None:
        """Which connector takes a client; None: none does, and nothing is implicit.

        A connector bound to exactly this local address hides those bound to all addresses, as the operating
        system would do with sockets of their own (reference section 2.2).
        """
        table = self.table(local)
        return table.lookup(remote) if table else None

    def table(self, local: Endpoint) -> Table | None:
        """Who listens on a local address and port: see `select`. None: nobody does."""
        found = self.tables.get(local)
        return found or self.tables.get(Endpoint(Address(local.address.version, 0), local.port))


def _key(binding: Binding) -> Endpoint:
    assert binding.address is not None  # noqa: S101 (bindings_of resolved it)
    return Endpoint(binding.address, binding.port)


def bindings_of(model: ReceiveConnector, addresses: Mapping[str, str]) -> tuple[Binding, ...]:
    """A connector's bindings with named addresses filled in. Raises BadValue where the server has no such name."""
    return tuple(_resolve(parse_binding(text), model.name, addresses) for text in model.bindings)


def _resolve(binding: Binding, connector: str, addresses: Mapping[str, str]) -> Binding:
    if binding.name is None:
        return binding
    if binding.name not in addresses:
        problem = f"connector {connector!r} is bound to a named address that this server does not have"
        raise BadValue(binding.name, problem, "Give the server this address, or change the binding.")
    return Binding(parse_unicast(addresses[binding.name]), None, binding.port)


def expires_at(given: str | RangeEntry) -> float:
    """When a range expires, in seconds since 1970; infinity for never."""
    if isinstance(given, str) or given.expires_at is None:
        return inf
    return given.expires_at.timestamp()


def expiries(bundle: Bundle) -> Iterator[float]:
    """When ranges expire or have expired."""
    for model in bundle.connectors:
        for given in model.remote_ip_ranges:
            if not isinstance(given, str) and given.expires_at is not None:
                yield expires_at(given)


def live_ranges(model: ReceiveConnector, now: float) -> Iterator[AddressRange]:
    """A connector's ranges that have not expired."""
    for given in model.remote_ip_ranges:
        if isinstance(given, str):
            yield parse_range(given)
        elif expires_at(given) > now:
            yield parse_range(given.range)


def connectors_by_binding(
    bundle: Bundle, addresses: Mapping[str, str]
) -> dict[Binding, tuple[ReceiveConnector, ...]]:
    """Who listens on each local address and port. Raises BadValue."""
    found: dict[Binding, list[ReceiveConnector]] = {}
    for model in bundle.connectors:
        for binding in dict.fromkeys(bindings_of(model, addresses)):
            found.setdefault(binding, []).append(model)
    return {binding: tuple(models) for binding, models in found.items()}


def listing(models: Iterable[ReceiveConnector], now: float) -> Listing:
    """The live ranges of connectors that share a local address and port."""
    return Listing((model.name, known) for model in models for known in live_ranges(model, now))


def compile_policy(bundle: Bundle, *, addresses: Mapping[str, str], fqdn: str, now: float) -> Policy:
    """A bundle compiled for one server at one time. Raises CannotCompile.

    addresses: the server's named addresses. fqdn: its name in banners and Received lines, where a connector has
    none of its own. now: seconds since 1970; ranges that expired by then are left out.
    """
    try:
        listening = connectors_by_binding(bundle, addresses)
    except BadValue as error:
        raise CannotCompile((str(error),)) from error
    tables: dict[tuple[str, ...], Table] = {}
    problems: list[str] = []
    for binding, models in listening.items():
        names = tuple(model.name for model in models)
        if names not in tables:  # bindings of the same connectors share their table
            listed = listing(models, now)
            problems += (f"{binding}: {told(conflict)}" for conflict in conflicts(listed))
            tables[names] = Table(listed)
    if problems:
        raise CannotCompile(tuple(problems[:20]))
    by_binding = {binding: tables[tuple(m.name for m in models)] for binding, models in listening.items()}
    return Policy(bundle, fqdn=fqdn, addresses=addresses, now=now, tables=by_binding)


def told(conflict: Conflict) -> str:
    """A conflict in one sentence that names both connectors and ranges."""
    first, second = conflict
    return (
        f"range {first.range.text} of connector {first.connector!r} and range {second.range.text} of connector "
        f"{second.connector!r} overlap in part or are equal, so nobody could say which one wins"
    )
