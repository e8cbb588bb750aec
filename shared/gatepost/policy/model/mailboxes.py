"""Domains and mail addresses: parsed and normalised here and nowhere else (RFC 5321 section 4.1.2).

A mailbox is `plain` when nobody could read a second address into it. Only a plain mailbox can lie in
an accepted domain: `a%out@ours`, `out!a@ours`, `"a@out"@ours`, source routes, address literals, trailing
dots and U-labels never do, whatever the domain part says.
"""

import re
import unicodedata
from typing import NamedTuple

from gatepost.policy.model.addresses import literal, parse_literal
from gatepost.policy.model.errors import BadValue

_ATOM = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_ATEXT = rf"[{_ATOM}]+"
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_ASCII = re.compile(rf"({_ATEXT}(?:\.{_ATEXT})*)@({_LABEL}(?:\.{_LABEL})*)")
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ROUTE = re.compile(r"@[^:@,]+(?:,@[^:@,]+)*:")
_QUOTED = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\x80-\U0010ffff]|\\[\x20-\x7e])*"')
# A dot at the end, too: telephones have such addresses.
_UTF8_LOCAL = re.compile(rf"[{_ATOM}.\x80-\U0010ffff]+")
_DOTS = re.compile("[\u3002\uff0e\uff61]")
# Characters that IDNA 2003 and IDNA 2008 map to different names: a name that could be two is refused.
_DEVIATIONS = frozenset("\u00df\u03c2\u200c\u200d")

MAX_LOCAL, MAX_DOMAIN, MAX_ADDRESS = 64, 255, 320


class Mailbox(NamedTuple):
    """A parsed address. `domain` is lower-case A-labels or an address literal; `plain`: see the module."""

    local: str
    domain: str
    plain: bool

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def parse_domain(text: str) -> str:
    """A domain name as lower-case A-labels without a trailing dot. Raises BadValue (RFC 5890)."""
    name = text.strip()
    if not name.isascii():
        name = _to_a_labels(text)
    name = name.lower()
    if len(name) > MAX_DOMAIN or not _DOMAIN.fullmatch(name):
        raise BadValue(
            text, "not a domain name", "Write it as contoso.com: letters, digits, hyphens and dots."
        )
    return name


def _to_a_labels(text: str) -> str:
    name = unicodedata.normalize("NFC", text.strip())
    if _DEVIATIONS & set(name) or _DOTS.search(name):
        raise BadValue(text, "a domain name that can be read in two ways", "Write its xn-- form.")
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise BadValue(text, "not a domain name", "Write its xn-- form.") from error


def parse_mailbox(text: str) -> Mailbox:
    """A mail address without angle brackets: RFC 5321 Mailbox, source route and UTF-8 included. Raises BadValue."""
    found = _ASCII.fullmatch(text)
    if found is not None and len(text) <= MAX_ADDRESS:
        local, domain = found.groups()
        if len(local) > MAX_LOCAL or len(domain) > MAX_DOMAIN:
            raise _bad(text)
        return Mailbox(local, domain.lower(), "%" not in local and "!" not in local)
    return _parse_odd(text)


def _bad(text: str) -> BadValue:
    return BadValue(text, "not a mail address", "Write it as user@contoso.com.")


def _parse_odd(text: str) -> Mailbox:
    """Everything the fast path does not take: never plain."""
    route = _ROUTE.match(text)
    local, at, domain = (text[route.end() :] if route else text).rpartition("@")
    if not at or not local or len(text) > MAX_ADDRESS or len(local) > MAX_LOCAL:
        raise _bad(text)
    is_dotted = not local.startswith(".") and ".." not in local
    if not (_QUOTED.fullmatch(local) or (_UTF8_LOCAL.fullmatch(local) and is_dotted)):
        raise _bad(text)
    return Mailbox(local, _odd_domain(domain, text), plain=False)


def _odd_domain(domain: str, text: str) -> str:
    if domain.startswith("[") and domain.endswith("]"):
        try:
            return literal(str(parse_literal(domain)))
        except BadValue:
            raise _bad(text) from None
    try:
        return parse_domain(_DOTS.sub(".", domain).removesuffix("."))
    except BadValue:
        raise _bad(text) from None
