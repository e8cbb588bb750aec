"""Addresses in a relay connector's ranges that stand for more than the one host they look like."""

import re
from collections.abc import Iterator

from gatepost.policy.analysis.findings import Finding, Rule, Severity, found
from gatepost.policy.analysis.lint.context import Context
from gatepost.policy.analysis.ranges import RangeSet, from_spans, intersection, ranges
from gatepost.policy.analysis.sides import Group
from gatepost.policy.model.addresses import LOOPBACK, AddressRange, parse_address, parse_binding, parse_range
from gatepost.policy.model.connector import ReceiveConnector

LOOPBACK_SPACE = ranges(LOOPBACK)
SUBNET = 256
"""From this size on a range is a network, where a router's address is no surprise; below, somebody meant hosts."""
_BALANCER = re.compile(
    r"\b(?:load.?balanc\w*|lb|vip|haproxy|netscaler|f5|nlb|kemp|proxy|nat)\b", re.IGNORECASE
)

RELAY_LOOPBACK = Rule(
    "relay-loopback",
    Severity.WARNING,
    "This host itself may relay",
    "Leave loopback out, unless programs on the mail host are meant.",
)
RELAY_OWN_ADDRESS = Rule(
    "relay-own-address",
    Severity.WARNING,
    "A server's own address may relay",
    "Leave it out: what is forwarded or translated on the host would come from it.",
)
RELAY_GATEWAY = Rule(
    "relay-gateway",
    Severity.WARNING,
    "An address that looks like a router's may relay",
    "Make sure that it translates no addresses: otherwise all who are behind it may relay.",
)
RELAY_BALANCER = Rule(
    "relay-load-balancer",
    Severity.WARNING,
    "A load balancer may relay",
    "List the hosts behind it: with a balancer's address every client that reaches it may relay, and PROXY protocol "
    "is not supported.",
)
NO_RATE = Rule(
    "relay-without-rate",
    Severity.WARNING,
    "No rate limit on a relay connector",
    "Set message_rate_limit: one infected host can fill the queue and get the smart host blocked.",
)
ONLY_V4 = Rule(
    "relay-only-v4",
    Severity.WARNING,
    "Only IPv4 ranges where IPv6 hosts come too",
    "Add the hosts' IPv6 ranges, or bind the connector to IPv4 alone.",
)


def findings(context: Context, group: Group) -> Iterator[Finding]:
    own = _from_addresses(text for server in group.servers for text in server.addresses.values())
    for connector in context.side.relaying(group):
        known = context.side.ranges(connector)
        yield from _within(RELAY_LOOPBACK, context, connector, intersection(known, LOOPBACK_SPACE))
        yield from _within(RELAY_OWN_ADDRESS, context, connector, intersection(known, own))
        yield from _within(RELAY_GATEWAY, context, connector, _gateways(known))
        yield from _within(RELAY_BALANCER, context, connector, _balancers(connector))
        if connector.message_rate_limit == "unlimited" or connector.message_rate_source in ("None", "User"):
            detail = f"hosts that connector {connector.name!r} takes may send as fast as they like"
            yield context.about(NO_RATE, connector, "message_rate_limit", detail)
        if not known.v6 and any(_takes_v6(text, group) for text in connector.bindings):
            detail = (
                f"IPv6 clients of connector {connector.name!r} fall to another connector or get no service"
            )
            yield context.about(ONLY_V4, connector, "remote_ip_ranges", detail)


def _from_addresses(texts: Iterator[str]) -> RangeSet:
    addresses = [parse_address(text) for text in texts]
    return ranges(AddressRange(a.version, a.value, a.value, "") for a in addresses)


def _within(rule: Rule, context: Context, connector: ReceiveConnector, among: RangeSet) -> Iterator[Finding]:
    if not among.empty:
        yield found(
            rule,
            f"connector {connector.name!r} holds {among.told()}",
            pointer=context.pointer(connector, "remote_ip_ranges"),
            selectors=connector.servers,
            ranges=among,
            connectors=(connector.name,),
        )


def _gateways(known: RangeSet) -> RangeSet:
    """IPv4 addresses that end in .1 or .254, in spans too small to be a network."""
    candidates = (
        (value, lo, hi)
        for lo, hi in known.v4
        if hi - lo + 1 < SUBNET
        for value in ((lo & ~0xFF) + last for last in (1, 254, 257, 510))
    )
    return from_spans(((value, value) for value, lo, hi in candidates if lo <= value <= hi), ())


def _balancers(connector: ReceiveConnector) -> RangeSet:
    noted = (given for given in connector.remote_ip_ranges if not isinstance(given, str))
    return ranges(parse_range(given.range) for given in noted if _BALANCER.search(given.note))


def _takes_v6(binding: str, group: Group) -> bool:
    parsed = parse_binding(binding)
    if parsed.address is not None:
        return parsed.address.version == 6
    return parse_address(group.addresses.get(parsed.name or "", "0.0.0.0")).version == 6
