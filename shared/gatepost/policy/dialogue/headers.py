"""Header fields: which ones the firewall removes, which ones count hops, and the ones we write ourselves.

The streaming over a message is in `header_block.py`; here are the values it takes and gives, and what is known
about single fields.
"""

import re
from datetime import UTC, datetime
from enum import Flag
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from gatepost.policy.model.addresses import literal


class HeaderFamily(Flag):
    """What the header firewall removes: the families a session has no Accept-Headers right for."""

    NONE = 0
    ROUTING = 1  # Received, Resent-*
    ORGANIZATION = 2  # X-MS-Exchange-Organization-*
    FOREST = 4  # X-MS-Exchange-Forest-*


class ContentRules(NamedTuple):
    """What `Content` does to one message; every field comes from the connector or the session.

    max_size, max_header_size: octets as received (MaxMessageSize, MaxHeaderSize); None is unlimited.
    bare_linefeed: `refuse` (BareLinefeedRejectionEnabled) keeps nothing after the first bare CR or LF.
    prepend: our own fields, whole lines, put before the client's first.
    strip: families that are removed on receipt, after their hops were counted.
    add_message_id, add_date: values (`<id@host>`, RFC 5322 date-time) for a message without these fields; they
    go to the end of the header. Empty: nothing is added.
    local_names: this server's names in lower case; a Received field `by` one of them is a local hop.
    """

    max_size: int | None = None
    max_header_size: int | None = None
    bare_linefeed: Literal["normalise", "refuse"] = "normalise"
    prepend: bytes = b""
    strip: HeaderFamily = HeaderFamily.NONE
    add_message_id: str = ""
    add_date: str = ""
    local_names: frozenset[str] = frozenset()


class HeaderFacts(NamedTuple):
    """What a header said as it arrived, before anything was removed or added.

    octets: size of its fields with bare line ends normalised, without the empty line that ends it.
    received, local_received: hops.
    from_, sender: addresses as written; () means no field or no address, None that nobody can say which addresses
    a reader would see, so who must check them refuses.
    message_id: with its angle brackets, fit for a reply; the added one if it had none, None if it cannot be shown.
    lacks_fields: it had no Date or no Message-ID. eight_bit, nul: it holds such octets.
    complete: False when the header passed max_header_size; all other values then cover what was read.
    """

    octets: int = 0
    received: int = 0
    local_received: int = 0
    from_: tuple[str, ...] | None = ()
    sender: tuple[str, ...] | None = ()
    message_id: str | None = None
    lacks_fields: bool = False
    eight_bit: bool = False
    nul: bool = False
    complete: bool = True


_FAMILIES = {
    HeaderFamily.ROUTING: rb"received\Z|resent-",
    HeaderFamily.ORGANIZATION: rb"x-ms-exchange-organization-",
    HeaderFamily.FOREST: rb"x-ms-exchange-forest-",
}


@cache
def firewall(strip: HeaderFamily) -> re.Pattern[bytes] | None:
    """A pattern that matches the lower-case names of the fields to remove; None when all may stay."""
    families = [pattern for family, pattern in _FAMILIES.items() if family in strip]
    return re.compile(b"|".join(families)) if families else None


_BY = re.compile(rb"by\s(?<![^\s;)]by\s)\s*([^\s;()]+)")


def is_local_hop(received: bytes, local_names: frozenset[str]) -> bool:
    """Whether a Received field's value says that one of `local_names` took the message (MaxLocalHopCount)."""
    names = _BY.findall(received.lower())
    return any(name.decode("ascii", "replace").rstrip(".") in local_names for name in names)


# Short enough for a reply line of 512 octets that also names the host (RFC 5321 4.5.3.1.5).
_MESSAGE_ID = re.compile(rb"<[\x21-\x3b\x3d\x3f-\x7e]{1,250}>")


def message_id(value: bytes) -> str | None:
    """The id in a Message-ID field's value, with its angle brackets, if it can be shown in a reply."""
    found = _MESSAGE_ID.search(value)
    return found[0].decode("ascii") if found else None


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=4)
def _date_at(second: int) -> str:
    at = datetime.fromtimestamp(second, UTC)
    day = f"{_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at.year:04}"
    return f"{day} {at.hour:02}:{at.minute:02}:{at.second:02} +0000"


def format_date(now: float) -> str:
    """RFC 5322 date-time in UTC of `now`, seconds since 1970; English whatever the host's locale is."""
    return _date_at(int(now))


def protocol_name(*, extended: bool, tls: bool, authenticated: bool, utf8: bool = False) -> str:
    """The `with` protocol of a Received field (RFC 3848, RFC 6531 4.3)."""
    if not extended:
        return "SMTP"
    return ("UTF8SMTP" if utf8 else "ESMTP") + ("S" if tls else "") + ("A" if authenticated else "")


# A client's name may hold what a domain or an address literal holds: all else might end comment or line.
_UNSAFE_NAME = re.compile(r"[^A-Za-z0-9._:\[\]-]")
_UNSAFE_COMMENT = re.compile(r"[^A-Za-z0-9._=, -]")
_LONGEST_NAME = 255


def received_line(
    *,
    helo: str,
    client: str,
    by: str,
    local: str,
    protocol: str,
    queue_id: str,
    now: float,
    tls: str = "",
) -> bytes:
    """Our Received field, folded, with its final CRLF (RFC 5321 4.4).

    helo: what the client called itself, whatever it is. client, local: both ends' addresses as text.
    by: our FQDN. protocol: see `protocol_name`. tls: `version=…, cipher=…` or empty.
    now: seconds since 1970.
    """
    name = _UNSAFE_NAME.sub("?", helo[:_LONGEST_NAME]) or literal(client)
    secured = f" ({_UNSAFE_COMMENT.sub('?', tls)})" if tls else ""
    return (
        f"Received: from {name} ({literal(client)})\r\n"
        f"\tby {by} ({literal(local)}) with {protocol}{secured}\r\n"
        f"\tid {queue_id}; {format_date(now)}\r\n"
    ).encode("ascii")
