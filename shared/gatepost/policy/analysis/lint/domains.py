"""Accepted domains that are too much, and mail that would have nowhere to go."""

from collections.abc import Iterator

from gatepost.policy.analysis.findings import Finding, Rule, Severity, found
from gatepost.policy.analysis.lint.context import Context
from gatepost.policy.analysis.sides import Group
from gatepost.policy.dialogue.routing import NoRoute
from gatepost.policy.model.rights import AUTHENTICATED_USERS, USER_PREFIX, Right

# Names under which anybody can register, beside those of one label. Not the whole public suffix list: the ones an
# operator may type by mistake for an organisation's own domain.
PUBLIC_SUFFIXES = frozenset(
    f"{second}.{top}"
    for top, seconds in {
        "ar": "com net org gob",
        "at": "co or gv ac",
        "au": "com net org edu gov id",
        "br": "com net org gov edu",
        "cn": "com net org gov edu ac",
        "co": "com net org",
        "de": "com",
        "hk": "com net org edu gov",
        "hu": "co",
        "id": "co or ac go web",
        "il": "co org net ac gov",
        "in": "co net org ac gov firm gen",
        "jp": "co ne or ac go ad ed gr lg",
        "kr": "co ne or ac go re pe",
        "mx": "com net org edu gob",
        "my": "com net org edu gov",
        "nz": "co net org ac govt school",
        "pl": "com net org edu gov",
        "pt": "com org edu gov",
        "ru": "com net org",
        "sa": "com net org edu gov",
        "sg": "com net org edu gov",
        "th": "co or ac go in",
        "tr": "com net org edu gov",
        "tw": "com net org edu gov",
        "ua": "com net org edu gov",
        "uk": "co org me ltd plc net sch ac gov nhs police",
        "za": "co net org ac gov web",
    }.items()
    for second in seconds.split()
)

EVERY_DOMAIN = Rule(
    "accepted-every-domain",
    Severity.BLOCKING,
    "Every domain is an accepted domain",
    "List your own domains: with * everybody may send to everybody, whatever the connectors say.",
)
PUBLIC_SUFFIX = Rule(
    "accepted-public-suffix",
    Severity.BLOCKING,
    "A top-level domain or public suffix is an accepted domain",
    "List the domains that are yours below it.",
    acknowledgeable=True,
)
NO_ROUTE = Rule(
    "no-route-outside",
    Severity.BLOCKING,
    "Relayed mail would have nowhere to go",
    "Add a send connector with the address space * for these servers.",
)
NO_ROUTE_INSIDE = Rule(
    "no-route-for-accepted-domain",
    Severity.WARNING,
    "Mail for an accepted domain would have nowhere to go",
    "Add a send connector with an address space that holds the domain.",
)


def findings(context: Context) -> Iterator[Finding]:
    for at, entry in enumerate(context.document.accepted_domains):
        pointer = f"/accepted_domains/{at}/domain"
        if entry.domain == "*":
            yield found(EVERY_DOMAIN, "the accepted domain * names every domain there is", pointer=pointer)
        elif _suffix(entry.domain):
            detail = f"{entry.domain} belongs to a registry, not to one organisation"
            below = " and below" if entry.match_sub_domains else ""
            yield found(PUBLIC_SUFFIX, detail, pointer=pointer, subject=entry.domain + below)


def _suffix(pattern: str) -> bool:
    name = pattern.removeprefix("*.")
    return "." not in name or name in PUBLIC_SUFFIXES


def routes(context: Context, group: Group) -> Iterator[Finding]:
    """A group's routes: for what it relays, and for what it receives."""
    if group.policy is None:
        return
    outside = not group.exposure.relay.empty or _users_relay(group)
    if outside and isinstance(group.policy.routes.find("*"), NoRoute):
        selectors = sorted({selector for c in group.bundle.connectors for selector in c.servers})
        detail = "clients may send to outside domains, but no send connector has the address space *"
        yield found(NO_ROUTE, detail, pointer="/send_connectors", selectors=selectors)
    for at, entry in enumerate(context.document.accepted_domains if group.bundle.connectors else ()):
        route = group.policy.routes.find(entry.domain.removeprefix("*."))
        if entry.domain != "*" and isinstance(route, NoRoute):
            pointer = f"/accepted_domains/{at}"
            yield found(NO_ROUTE_INSIDE, route.reason, pointer=pointer, subject=entry.domain)


def _users_relay(group: Group) -> bool:
    """Whether somebody with a password may send outside."""
    return any(
        "BasicAuth" in connector.auth_mechanism
        and any(
            ace.right is Right.ANY_RECIPIENT
            and not ace.deny
            and (ace.principal == AUTHENTICATED_USERS or ace.principal.startswith(USER_PREFIX))
            for ace in connector.aces
        )
        for connector in group.bundle.connectors
    )
