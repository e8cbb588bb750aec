"""Extended rights, security principals, permission groups, and how access control entries decide.

Source: Exchange's permission groups and Receive connector permissions (reference section 4).
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from gatepost.policy.model.errors import BadValue


class Right(StrEnum):
    """An extended right, in the spelling that the verification listing shows."""

    SUBMIT = "ms-Exch-SMTP-Submit"
    ANY_RECIPIENT = "ms-Exch-SMTP-Accept-Any-Recipient"
    ANY_SENDER = "ms-Exch-SMTP-Accept-Any-Sender"
    AUTHORITATIVE_SENDER = "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"
    AUTHENTICATION_FLAG = "ms-Exch-SMTP-Accept-Authentication-Flag"
    EXCH50 = "ms-Exch-SMTP-Accept-Exch50"
    HEADERS_ROUTING = "ms-Exch-Accept-Headers-Routing"
    HEADERS_ORGANIZATION = "ms-Exch-Accept-Headers-Organization"
    HEADERS_FOREST = "ms-Exch-Accept-Headers-Forest"
    BYPASS_ANTI_SPAM = "ms-Exch-Bypass-Anti-Spam"
    BYPASS_SIZE_LIMIT = "ms-Exch-Bypass-Message-Size-Limit"


# Rights that change what a session does. The others are stored and listed with `effect: none here`.
EFFECTIVE = frozenset(Right) - {Right.AUTHENTICATION_FLAG, Right.EXCH50, Right.BYPASS_ANTI_SPAM}

ANONYMOUS = r"NT AUTHORITY\ANONYMOUS LOGON"
AUTHENTICATED_USERS = r"NT AUTHORITY\Authenticated Users"
EXTERNALLY_SECURED = r"MS Exchange\Externally Secured Servers"
PARTNER_SERVERS = r"MS Exchange\Partner Servers"
HUB_SERVERS = r"MS Exchange\Hub Transport Servers"
EDGE_SERVERS = r"MS Exchange\Edge Transport Servers"
EXCHANGE_SERVERS = r"Exchange Servers"
LEGACY_INTEROP = "ExchangeLegacyInterop"
USER_PREFIX = "user:"  # a relay user, proved by a password

_PRINCIPALS = (ANONYMOUS, AUTHENTICATED_USERS, EXTERNALLY_SECURED, PARTNER_SERVERS, HUB_SERVERS, EDGE_SERVERS,
               EXCHANGE_SERVERS, LEGACY_INTEROP)  # fmt: skip
_ALIASES = {name.lower(): name for name in _PRINCIPALS} | {
    "s-1-5-7": ANONYMOUS,
    "s-1-5-11": AUTHENTICATED_USERS,
    "anonymous logon": ANONYMOUS,
    "authenticated users": AUTHENTICATED_USERS,
    "externally secured servers": EXTERNALLY_SECURED,
    "partner servers": PARTNER_SERVERS,
}
# Principals that no client can become here: nothing speaks Kerberos or proves a partner's certificate.
UNREACHABLE = frozenset({PARTNER_SERVERS, HUB_SERVERS, EDGE_SERVERS, EXCHANGE_SERVERS, LEGACY_INTEROP})

_RIGHTS = {right.lower(): right for right in Right} | {"ms-exch-accept-exch50": Right.EXCH50}


class PermissionGroup(StrEnum):
    """A named, fixed set of permissions. Source: Exchange parameter PermissionGroups."""

    ANONYMOUS_USERS = "AnonymousUsers"
    EXCHANGE_USERS = "ExchangeUsers"
    EXCHANGE_SERVERS = "ExchangeServers"
    EXCHANGE_LEGACY_SERVERS = "ExchangeLegacyServers"
    PARTNERS = "Partners"


_GROUP_NAMES = {group.lower(): group for group in PermissionGroup} | {
    "anonymous": PermissionGroup.ANONYMOUS_USERS,
    "partner": PermissionGroup.PARTNERS,
}

_SECURED = (Right.HEADERS_ROUTING, Right.BYPASS_ANTI_SPAM, Right.BYPASS_SIZE_LIMIT, Right.ANY_RECIPIENT,
            Right.ANY_SENDER, Right.AUTHENTICATION_FLAG, Right.AUTHORITATIVE_SENDER, Right.EXCH50,
            Right.SUBMIT)  # fmt: skip
_SERVERS = (Right.HEADERS_FOREST, Right.HEADERS_ORGANIZATION, *_SECURED)

GROUPS: Mapping[PermissionGroup, Mapping[str, tuple[Right, ...]]] = {
    PermissionGroup.ANONYMOUS_USERS: {
        ANONYMOUS: (Right.HEADERS_ROUTING, Right.ANY_SENDER, Right.AUTHORITATIVE_SENDER, Right.SUBMIT)
    },
    PermissionGroup.EXCHANGE_USERS: {
        AUTHENTICATED_USERS: (
            Right.HEADERS_ROUTING,
            Right.BYPASS_ANTI_SPAM,
            Right.ANY_RECIPIENT,
            Right.SUBMIT,
        )
    },
    PermissionGroup.EXCHANGE_SERVERS: {
        EXCHANGE_SERVERS: _SERVERS,
        EDGE_SERVERS: _SERVERS,
        HUB_SERVERS: _SERVERS,
        EXTERNALLY_SECURED: _SECURED,
    },
    PermissionGroup.EXCHANGE_LEGACY_SERVERS: {LEGACY_INTEROP: _SECURED},
    PermissionGroup.PARTNERS: {PARTNER_SERVERS: (Right.HEADERS_ROUTING, Right.SUBMIT)},
}


class Ace(NamedTuple):
    """An access control entry; `source` is `group:<name>` or `explicit`."""

    principal: str
    right: Right
    deny: bool
    inherited: bool
    source: str


def parse_right(text: str) -> Right:
    """A right by name, in any case. Raises BadValue."""
    right = _RIGHTS.get(text.strip().lower())
    if right is None:
        raise BadValue(text, "not an extended right", f"Use one of {', '.join(Right)}.")
    return right


def parse_principal(text: str) -> str:
    """A principal by name or SID, in any case; `user:<name>` is a relay user. Raises BadValue."""
    name = text.strip()
    found = _ALIASES.get(name.lower()) or _ALIASES.get(name.rpartition("\\")[2].lower())
    if found is not None:
        return found
    user = name[len(USER_PREFIX) :]
    if name.lower().startswith(USER_PREFIX) and user.isprintable() and 1 <= len(user) <= 64:
        return name.lower()
    remedy = f"Use one of {', '.join(_PRINCIPALS)}, their SIDs, or user:<relay user>."
    raise BadValue(text, "not a security principal", remedy)


def parse_group(text: str) -> PermissionGroup:
    """A permission group by name, in any case. Raises BadValue; `Custom` is computed and cannot be set."""
    group = _GROUP_NAMES.get(text.strip().lower())
    if group is None:
        custom = text.strip().lower() == "custom"
        problem = "Custom is computed from explicit permissions" if custom else "not a permission group"
        raise BadValue(text, problem, f"Use one of {', '.join(PermissionGroup)}.")
    return group


def group_aces(groups: Iterable[PermissionGroup]) -> tuple[Ace, ...]:
    """The entries that permission groups stand for."""
    return tuple(
        Ace(principal, right, deny=False, inherited=False, source=f"group:{group}")
        for group in groups
        for principal, rights in GROUPS[group].items()
        for right in rights
    )


def _rank(ace: Ace) -> int:
    """Canonical order: explicit deny, explicit allow, inherited deny, inherited allow."""
    return 2 * ace.inherited + (not ace.deny)


def deciding(aces: Iterable[Ace], principals: Iterable[str]) -> dict[Right, Ace]:
    """The entry that decides each right for a token holding these principals; a right without one is not held."""
    held = frozenset(principals)
    chosen: dict[Right, Ace] = {}
    for ace in aces:
        if ace.principal in held and (ace.right not in chosen or _rank(ace) < _rank(chosen[ace.right])):
            chosen[ace.right] = ace
    return chosen


def effective(aces: Iterable[Ace], principals: Iterable[str]) -> frozenset[Right]:
    """The rights that a token holding these principals has."""
    return frozenset(right for right, ace in deciding(aces, principals).items() if not ace.deny)
