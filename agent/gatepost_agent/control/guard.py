"""The local guard: what no config may do on this host, whoever signed it. Only a file on the host moves the bounds.

`guard.toml` in the config folder belongs to root and nobody else may write it:

    ports = [25, 587]
    addresses = ["10.1.1.0/24"]                  # may be listened on; "0.0.0.0" and "::" allow the wildcards
    relay = ["10.0.0.0/8"]                       # the widest set of clients that relay without a password
    max_public_relay = 1024                      # public addresses among them, where `relay` is not given
    smart_hosts = ["smtp.contoso.com", "*.mail.contoso.com"]
    dns_routing = false
    credentials = {relay = ["smtp.contoso.com"]} # which secret may go where
"""

import os
import stat
import tomllib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gatepost.policy.analysis.exposure import exposure, raw_union
from gatepost.policy.analysis.ranges import RangeSet, difference, ranges, union
from gatepost.policy.dialogue.compiled import Policy
from gatepost.policy.model.addresses import PRIVATE, Binding, parse_range
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.send_connector import SendConnector, parse_smart_host

FILE = "guard.toml"
MAX_PUBLIC = 1024
_WILDCARDS = {"0.0.0.0": 4, "::": 6}


class GuardRefused(Exception):
    """The guard's file cannot be trusted: then no config can."""


class Bounds(BaseModel):
    """What the file says; what it leaves out is not bounded, but for relay."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ports: tuple[int, ...] | None = None
    addresses: tuple[str, ...] | None = None
    relay: tuple[str, ...] | None = None
    max_public_relay: int = Field(default=MAX_PUBLIC, ge=0)
    smart_hosts: tuple[str, ...] | None = None
    dns_routing: bool = True
    credentials: dict[str, tuple[str, ...]] | None = None


class Guard:
    """Reads its file for each config, so that a change counts from the next one on. owner: uid of the file."""

    def __init__(self, path: Path, *, owner: int = 0) -> None:
        self._path = path
        self._owner = owner

    def breaches(self, policy: Policy, now: float) -> tuple[str, ...]:
        """What the policy would do that it may not, in sentences that name the remedy. now: as for expiry."""
        try:
            bounds = self.bounds()
            return (
                *_listening(policy.bindings, bounds),
                *_relay(policy, now, bounds),
                *(
                    told
                    for connector in policy.bundle.send_connectors
                    for told in _sending(connector, bounds)
                ),
            )
        except (GuardRefused, BadValue) as error:
            return (str(error),)

    def bounds(self) -> Bounds:
        """The bounds in force. Raises GuardRefused."""
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return Bounds()
        except OSError as error:
            raise GuardRefused(f"{self._path} cannot be read: {error.strerror}") from error
        with os.fdopen(handle, "rb") as file:
            seen = os.fstat(handle)
            if not stat.S_ISREG(seen.st_mode) or seen.st_uid != self._owner or seen.st_mode & 0o022:
                raise GuardRefused(
                    f"{self._path} must be a file that belongs to uid {self._owner} and only its owner can write: "
                    f"chown {self._owner} and chmod 644 it"
                )
            try:
                return Bounds.model_validate(tomllib.load(file))
            except (tomllib.TOMLDecodeError, UnicodeError, ValidationError) as error:
                raise GuardRefused(f"{self._path} cannot be read: {error}") from error


def _listening(bindings: tuple[Binding, ...], bounds: Bounds) -> Iterator[str]:
    for binding in bindings:
        if bounds.ports is not None and binding.port not in bounds.ports:
            yield f"{binding}: port {binding.port} is not among the guard's ports on this host"
        if bounds.addresses is not None and not _may_be_bound(binding, bounds.addresses):
            yield f"{binding}: this address is not among the guard's addresses on this host"


def _may_be_bound(binding: Binding, addresses: tuple[str, ...]) -> bool:
    address = binding.address
    if address is None:
        return False
    if binding.wildcard:
        return any(_WILDCARDS.get(text) == address.version for text in addresses)
    return any(parse_range(text).holds(address) for text in addresses if text not in _WILDCARDS)


def _relay(policy: Policy, now: float, bounds: Bounds) -> Iterator[str]:
    """The stricter of two readings: what every range with the right holds, and what wins."""
    relaying = union((raw_union(policy, now), exposure(policy).relay))
    if bounds.relay is not None:
        outside = difference(relaying, ranges(parse_range(text) for text in bounds.relay))
        if not outside.empty:
            yield f"relay without a password from {_some(outside)}, outside the guard's relay on this host"
        return
    remedy = "list fewer clients, or set relay in guard.toml on this host"
    public = difference(relaying, ranges(PRIVATE))
    total = public.size(4) + public.size(6)
    if total > bounds.max_public_relay:
        limit = f"{bounds.max_public_relay} are the most here"
        yield f"relay without a password from {total} public addresses ({_some(public)}), {limit}: {remedy}"


def _some(known: RangeSet) -> str:
    texts = list(islice(known.texts(), 4))
    return ", ".join(texts[:3]) + (", ..." if len(texts) > 3 else "")


def _sending(connector: SendConnector, bounds: Bounds) -> Iterator[str]:
    named = f"send connector {connector.name!r}"
    if connector.dns_routing_enabled and not bounds.dns_routing:
        yield f"{named}: routing by DNS is off in the guard of this host"
    secret = connector.authentication_credential
    for host, _ in map(parse_smart_host, connector.smart_hosts):
        if bounds.smart_hosts is not None and not _is_among(host, bounds.smart_hosts):
            yield f"{named}: {host} is not among the guard's smart hosts on this host"
        if (
            secret
            and bounds.credentials is not None
            and not _is_among(host, bounds.credentials.get(secret, ()))
        ):
            yield f"{named}: the guard of this host does not let the credentials {secret!r} go to {host}"


def _is_among(host: str, patterns: tuple[str, ...]) -> bool:
    lowered = [pattern.lower() for pattern in patterns]
    return any(host == p or (p.startswith("*.") and host.endswith(p[1:])) for p in lowered)
