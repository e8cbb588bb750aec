"""Never an open relay by accident: how much of the world may send anywhere without a password (design rule 5).

Read off the raw union of ranges, not off the winner table: a hole is one edit away from being closed. A union over
all of a server's connectors, so that a wide range in small pieces is as wide as in one.
"""

from collections.abc import Iterator

from gatepost.policy.analysis.findings import Finding, Rule, Severity, found
from gatepost.policy.analysis.lint.context import Context, names, selectors
from gatepost.policy.analysis.ranges import RangeSet, difference, intersection, ranges
from gatepost.policy.analysis.sides import Group
from gatepost.policy.model.addresses import PRIVATE
from gatepost.policy.model.connector import ReceiveConnector

WIDE = {4: 2**16, 6: 2**80}
"""More addresses than a /16 of IPv4 or a /48 of IPv6: a site, not a list of hosts."""
EVERYTHING = {4: 2**31, 6: 2**124}
"""From half of IPv4, or of global unicast IPv6 (2000::/4 is all that is in use), it is the internet."""

PRIVATE_SPACE = ranges(PRIVATE)

RELAY_EVERYTHING = Rule(
    "relay-everything",
    Severity.BLOCKING,
    "The whole internet may relay",
    "List the hosts that may relay; a right for everybody is an open relay.",
)
RELAY_WIDE = Rule(
    "relay-wide",
    Severity.BLOCKING,
    "Relay over wide ranges",
    "List fewer addresses, or have an admin acknowledge exactly these ranges.",
    acknowledgeable=True,
)
RELAY_PUBLIC = Rule(
    "relay-public",
    Severity.BLOCKING,
    "Public addresses may relay",
    "List private addresses, ask for a password, or have an admin acknowledge exactly these ranges.",
    acknowledgeable=True,
)
RELAY_DEFAULT = Rule(
    "relay-default",
    Severity.BLOCKING,
    "A default connector with relay rights",
    "Take Accept-Any-Recipient away from it, and give it to a connector that lists the hosts.",
)


def findings(context: Context, group: Group) -> Iterator[Finding]:
    yield from _over(context, context.side.relaying(group))


def nowhere(context: Context) -> Iterator[Finding]:
    """Connectors for servers that are not there yet: the first one to enrol must not find them dangerous."""
    for relaying in context.side.unplaced():
        yield from _over(context, relaying)


def _over(context: Context, relaying: tuple[ReceiveConnector, ...]) -> Iterator[Finding]:
    raw = context.ranges(relaying)
    for version in (4, 6):
        part = RangeSet(raw.v4) if version == 4 else RangeSet((), raw.v6)
        if not part.empty:
            yield from _extent(context, relaying, part, version)
    for connector in relaying:
        if context.holds_everything(connector):
            detail = f"connector {connector.name!r} takes every client and lets it send anywhere"
            yield context.about(RELAY_DEFAULT, connector, "permissions", detail)


def _extent(
    context: Context, relaying: tuple[ReceiveConnector, ...], part: RangeSet, version: int
) -> Iterator[Finding]:
    size = part.size(version)
    if size >= EVERYTHING[version]:
        yield _found(RELAY_EVERYTHING, context, relaying, part, f"IPv{version} as good as whole")
        return
    if size > WIDE[version]:
        told = f"{size} IPv{version} addresses, more than {WIDE[version]}"
        yield _found(RELAY_WIDE, context, relaying, part, told)
    public = difference(part, PRIVATE_SPACE)
    if not public.empty:
        yield _found(RELAY_PUBLIC, context, relaying, public, f"{public.size(version)} public addresses")


def _found(
    rule: Rule, context: Context, relaying: tuple[ReceiveConnector, ...], over: RangeSet, told: str
) -> Finding:
    concerned = [c for c in relaying if not intersection(context.side.ranges(c), over).empty]
    return found(
        rule,
        f"{told} may send to outside domains without a password: {over.told()}",
        pointer=context.pointer(concerned[0], "remote_ip_ranges"),
        selectors=selectors(concerned),
        ranges=over,
        connectors=names(concerned),
        subject=_limits(concerned),
    )


def _limits(relaying: list[ReceiveConnector]) -> str:
    """What limits all of them but ranges: who takes on a finding takes it on within these, so without is another."""
    lists = ("allowed_recipient_domains", "allowed_sender_domains")
    held = {field: [getattr(connector, field) for connector in relaying] for field in lists}
    return " ".join(
        f"{field}: {', '.join(sorted({domain for domains in listed for domain in domains}))}"
        for field, listed in held.items()
        if all(listed)
    )
