"""IP addresses, remote IP ranges and bindings: parsed and normalised here and nowhere else.

An address is a version and an integer, so that every comparison is on numbers. v4-mapped clients
(`::ffff:a.b.c.d`) become v4 and zone ids are dropped, once, in `parse_address`.
"""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

from gatepost.policy.model.errors import BadValue

BITS = {4: 32, 6: 128}
LAST = {4: 2**32 - 1, 6: 2**128 - 1}

# The only ways to write an octet: 010 is 8 to some programs and 10 to others, so it is none.
_OCTETS = {str(octet): octet for octet in range(256)}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LONGEST_RANGE = 100  # two addresses; the text is shown in every trace and report
_RANGE_REMEDY = "Write a single address, low-high, or a network such as 192.168.5.0/24."


_IPV6_TAG = re.compile(r"\AIPv6:", re.IGNORECASE)
_LOCAL_SCOPES = (0xFE80 >> 6, 0xFEC0 >> 6)


class Address(NamedTuple):
    """An IP address; `value` is the address as an unsigned integer."""

    version: int
    value: int

    @property
    def is_local_scope(self) -> bool:
        """Link-local or site-local IPv6 (RFC 4291 2.5.6, RFC 3879): many hosts share such addresses over links."""
        return self.version == 6 and self.value >> 118 in _LOCAL_SCOPES

    def __str__(self) -> str:
        v = self.value
        if self.version == 4:
            return f"{v >> 24}.{v >> 16 & 255}.{v >> 8 & 255}.{v & 255}"
        return str(IPv6Address(v))


class AddressRange(NamedTuple):
    """An inclusive range of addresses of one version; `text` is what the operator typed."""

    version: int
    lo: int
    hi: int
    text: str

    @property
    def size(self) -> int:
        """How many addresses the range holds: the smaller, the more specific."""
        return self.hi - self.lo + 1

    def holds(self, address: Address) -> bool:
        return address.version == self.version and self.lo <= address.value <= self.hi


class Binding(NamedTuple):
    """Where a connector listens: a literal address, or the name of one of the server's addresses."""

    address: Address | None
    name: str | None
    port: int

    def __str__(self) -> str:
        if self.address is None:
            return f"{{{self.name}}}:{self.port}"
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"

    @property
    def wildcard(self) -> bool:
        return self.address is not None and self.address.value == 0


def _parse_v4(text: str) -> int | None:
    try:
        a, b, c, d = text.split(".")
        return _OCTETS[a] << 24 | _OCTETS[b] << 16 | _OCTETS[c] << 8 | _OCTETS[d]
    except (ValueError, KeyError):
        return None


def _parse_v6(text: str) -> int | None:
    try:
        return int(IPv6Address(text.partition("%")[0]))
    except AddressValueError:
        return None


def _parse_raw(text: str) -> Address | None:
    value = _parse_v4(text)
    if value is not None:
        return Address(4, value)
    value = _parse_v6(text) if ":" in text else None
    return None if value is None else Address(6, value)


def normalise(address: Address) -> Address:
    """The address a v4-mapped v6 address stands for; any other address as it is."""
    if address.version == 6 and address.value >> 32 == 0xFFFF:
        return Address(4, address.value & 0xFFFFFFFF)
    return address


def parse_address(text: str) -> Address:
    """One address, v4-mapped unmapped and zone id dropped. Raises BadValue."""
    address = _parse_raw(text.strip())
    if address is None:
        raise BadValue(text, "not an IP address", "Write an IPv4 or IPv6 address such as 192.168.5.10.")
    return normalise(address)


def parse_literal(text: str) -> Address:
    """An address literal, `[10.1.1.1]` or `[IPv6:2001:db8::1]` (RFC 5321 4.1.3). Raises BadValue."""
    return parse_address(_IPV6_TAG.sub("", text[1:-1]))


def literal(address: str) -> str:
    """An address as RFC 5321 4.1.3 writes it."""
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def parse_range(text: str) -> AddressRange:
    """A range of clients that may be listed: `read_range`, but no translated space. Raises BadValue.

    Source: Exchange parameter RemoteIPRanges.
    """
    found = _parse_range(text.strip())
    if found.version == 6 or found.lo == 0:
        _refuse_translated(found)
    return found


def read_range(text: str) -> AddressRange:
    """As `parse_range`, wherever it lies; v4-mapped addresses are the IPv4 ones they stand for. Raises BadValue.

    For what only narrows: the denied set may hold addresses that nobody may list.
    """
    found = _parse_range(text.strip())
    if found.version == 6 and found.lo >> 32 == found.hi >> 32 == 0xFFFF:
        return AddressRange(4, found.lo & LAST[4], found.hi & LAST[4], found.text)
    return found


def _parse_range(typed: str) -> AddressRange:
    """A single address, `lo-hi`, CIDR (host bits allowed) or `address(mask)`."""
    if len(typed) > _LONGEST_RANGE:
        raise BadValue(f"{typed[:_LONGEST_RANGE]}...", "not a remote IP range", _RANGE_REMEDY)
    if "/" in typed:
        return _parse_cidr(typed)
    if "-" in typed:
        return _parse_span(typed)
    if typed.endswith(")"):
        return _parse_masked(typed)
    version, value = _expect(typed, typed)
    return AddressRange(version, value, value, typed)


def _expect(part: str, typed: str) -> tuple[int, int]:
    """Version and value of an address within a range. Plain numbers: this runs for 100,000 ranges at once."""
    value = _parse_v4(part)
    if value is not None:
        return 4, value
    address = _parse_raw(part.strip())
    if address is None:
        raise BadValue(typed, "not a remote IP range", _RANGE_REMEDY)
    return address


def _parse_cidr(typed: str) -> AddressRange:
    base, _, length = typed.partition("/")
    version, value = _expect(base, typed)
    bits = BITS[version]
    if not (length.isascii() and length.isdigit() and int(length) <= bits):
        raise BadValue(typed, "not a prefix length", f"Write a length from 0 to {bits} after the slash.")
    host = (1 << (bits - int(length))) - 1
    lo = value & ~host
    return AddressRange(version, lo, lo | host, typed)


def _parse_span(typed: str) -> AddressRange:
    low, _, high = typed.partition("-")
    version, lo = _expect(low, typed)
    high_version, hi = _expect(high, typed)
    if version != high_version:
        raise BadValue(typed, "a range of two IP versions", "Give both ends as IPv4 or both as IPv6.")
    if lo > hi:
        raise BadValue(typed, "a range that ends before it starts", "Put the lower address first.")
    return AddressRange(version, lo, hi, typed)


def _parse_masked(typed: str) -> AddressRange:
    base, _, rest = typed.partition("(")
    version, value = _expect(base, typed)
    mask_version, mask = _expect(rest[:-1], typed)
    host = LAST[version] ^ mask
    if mask_version != version or host & (host + 1):
        raise BadValue(typed, "not a network mask", "Write the network with a prefix length instead.")
    lo = value & mask
    return AddressRange(version, lo, lo | host, typed)


def _span(text: str) -> AddressRange:
    return _parse_cidr(text)


_TRANSLATED = (
    (_span("::ffff:0:0/96"), "an IPv4-mapped range", "Write the IPv4 range itself, such as 192.168.5.0/24."),
    (_span("64:ff9b::/96"), "a NAT64 range", "List the IPv4 or IPv6 addresses the hosts really have."),
    (_span("2002::/16"), "a 6to4 range", "List the IPv4 or IPv6 addresses the hosts really have."),
)


def _refuse_translated(found: AddressRange) -> None:
    if found.version == 4:
        if found.lo == found.hi == 0:
            raise BadValue(
                found.text,
                "0.0.0.0 is no client's address",
                "Write 0.0.0.0-255.255.255.255 for all of IPv4, or list the hosts.",
            )
        return
    for outer, problem, remedy in _TRANSLATED:
        if outer.lo <= found.lo and found.hi <= outer.hi:
            raise BadValue(found.text, problem, remedy)


def parse_binding(text: str) -> Binding:
    """`0.0.0.0:25`, `[::1]:25` or `{internal}:25`. Raises BadValue. Source: Exchange parameter Bindings."""
    host, colon, port = text.strip().rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise BadValue(text, "a binding needs a port from 1 to 65535", "Write it as 10.1.1.1:25 or [::]:25.")
    if host.startswith("{") and host.endswith("}"):
        if not _NAME.fullmatch(host[1:-1]):
            raise BadValue(text, "not the name of an address", "Write it as {internal}:25.")
        return Binding(None, host[1:-1], int(port))
    bracketed = host.startswith("[") and host.endswith("]")
    address = _parse_raw(host[1:-1] if bracketed else host)
    if address is None or bracketed != (address.version == 6) or normalise(address) != address:
        raise BadValue(text, "not a local address", "Write 0.0.0.0:25, [::]:25, 10.1.1.1:25 or {name}:25.")
    return Binding(address, None, int(port))


def parse_unicast(text: str) -> Address:
    """A server's named address: one unicast address. Raises BadValue."""
    address = parse_address(text)
    if address.value == 0 or address.value == LAST[address.version] or is_multicast(address):
        raise BadValue(text, "not a unicast address", "Give the one address of the network adapter.")
    return address


def is_multicast(address: Address) -> bool:
    return address.value >> 28 == 0xE if address.version == 4 else address.value >> 120 == 0xFF


def _table(*networks: str) -> tuple[AddressRange, ...]:
    return tuple(_parse_cidr(network) for network in networks)


# The project's own table: the standard library's `is_private` changed between Python releases.
PRIVATE = _table("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
                 "::1/128", "fc00::/7", "fe80::/10")  # fmt: skip
LOOPBACK = _table("127.0.0.0/8", "::1/128")


def inside(found: AddressRange, table: tuple[AddressRange, ...]) -> bool:
    """Whether the whole range lies within one network of the table."""
    return any(n.version == found.version and n.lo <= found.lo and found.hi <= n.hi for n in table)


def is_private(address: Address) -> bool:
    return any(network.holds(address) for network in PRIVATE)
