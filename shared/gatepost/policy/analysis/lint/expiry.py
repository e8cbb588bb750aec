"""Expiry may only narrow: an address must gain no right by falling through to a wider range.

Theory of operation: a sweep over the ranges of one binding that keeps the open ones in order of size. Where the
smallest expires, the next one that outlives it takes its clients, and so on until one that stays. Only ranges that
touch an expiring one are looked at.
"""

from collections.abc import Iterator
from math import inf
from typing import NamedTuple

from gatepost.policy.analysis.findings import Finding, Rule, Severity, found
from gatepost.policy.analysis.lint.context import Context, names, selectors, some
from gatepost.policy.analysis.ranges import RangeSet, from_spans, ranges
from gatepost.policy.analysis.sides import Group
from gatepost.policy.analysis.succession import Row, living, stretches
from gatepost.policy.analysis.widening import gained
from gatepost.policy.dialogue.compiled import Policy, connectors_by_binding
from gatepost.policy.model.connector import ReceiveConnector

EXPIRY_WIDENS = Rule(
    "expiry-widens",
    Severity.BLOCKING,
    "An address would gain rights when a range expires",
    "Let the range stay, or take the right away from the wider range: expiry may only narrow.",
)


class Fall(NamedTuple):
    """Clients pass from one connector to another when a range expires."""

    lo: int
    hi: int
    before: str
    after: str


def findings(context: Context, group: Group) -> Iterator[Finding]:
    policy = group.policy
    if policy is None or policy.next_change is None:
        return
    for connectors in dict.fromkeys(connectors_by_binding(group.bundle, group.addresses).values()):
        by_name = {connector.name: connector for connector in connectors}
        for (before, after), clients in _gaining(policy, connectors, context.side.now).items():
            both = (by_name[before], by_name[after])
            yield found(
                EXPIRY_WIDENS,
                f"{clients.told()} fall from {before!r} to {after!r} and gain {some(_gained(policy, before, after))}",
                pointer=context.pointer(both[0], "remote_ip_ranges"),
                selectors=selectors(both),
                ranges=clients,
                connectors=names(both),
            )


def _gained(policy: Policy, before: str, after: str) -> tuple[str, ...]:
    return gained(policy.connectors[before], policy.connectors[after])


def _gaining(
    policy: Policy, connectors: tuple[ReceiveConnector, ...], now: float
) -> dict[tuple[str, str], RangeSet]:
    spans: dict[tuple[str, str], dict[int, list[tuple[int, int]]]] = {}
    for version in (4, 6):
        for fall in falls(_rows(connectors, version, now)):
            if _gained(policy, fall.before, fall.after):
                by_version = spans.setdefault((fall.before, fall.after), {4: [], 6: []})
                by_version[version].append((fall.lo, fall.hi))
    return {pair: from_spans(found_[4], found_[6]) for pair, found_ in spans.items()}


def _rows(connectors: tuple[ReceiveConnector, ...], version: int, now: float) -> list[Row]:
    """Live ranges that touch one that expires."""
    rows = [
        (Row(known.size, connector.name, until, known.lo, known.hi), known)
        for connector in connectors
        for known, until in living(connector.remote_ip_ranges, now)
        if known.version == version
    ]
    expiring = ranges(known for row, known in rows if row.until < inf)
    return [row for row, known in rows if expiring.touches(version, known.lo, known.hi)]


def falls(rows: list[Row]) -> Iterator[Fall]:
    """What happens to clients as one range after the other expires."""
    for lo, hi, open_ in stretches(rows):
        yield from _chain(lo, hi, open_)


def _chain(lo: int, hi: int, open_: list[Row]) -> Iterator[Fall]:
    rest = iter(open_)
    row = next(rest, None)
    for other in rest:
        if row is not None and other.until > row.until:
            if other.connector != row.connector:
                yield Fall(lo, hi, row.connector, other.connector)
            row = other
