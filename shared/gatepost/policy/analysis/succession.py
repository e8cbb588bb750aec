"""Who takes which client as ranges expire, before a change and after it: what the winners of now do not show.

Theory of operation: a sweep over the ranges of one local address that touch an expiring one. On each stretch the
smallest range takes the clients until it expires, then the next one that outlives it, and so on. The two sides'
successions are looked at just after every moment at which either passes its clients on.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from math import inf
from typing import NamedTuple

from gatepost.policy.analysis.ranges import RangeSet, ranges
from gatepost.policy.dialogue.compiled import Endpoint, Policy, bindings_of, expires_at
from gatepost.policy.model.addresses import Address, AddressRange, parse_range
from gatepost.policy.model.connector import RangeEntry, ReceiveConnector

Meeting = tuple[int, int, str | None, str | None]
"""Low and high end, the connector that takes these clients before the change, and the one that does after it."""

_Turn = tuple[float, str | None]  # until when a connector takes the clients


class Row(NamedTuple):
    """A range and when it ends, ordered by size: the first open one takes the client."""

    size: int
    connector: str
    until: float
    lo: int
    hi: int
    changed: bool = False  # whether it is one of the new side


def successions(
    old: Policy | None, new: Policy, locals_: Iterable[Endpoint]
) -> Iterator[tuple[Endpoint, Iterator[Meeting]]]:
    """By local address: every two connectors that meet at some time from now on, where any range expires.

    Now is the new side's: the old one may have been kept for a while.
    """
    policies = [policy for policy in (old, new) if policy]
    expiring = ranges(known for policy in policies for known in _expiring(policy))
    if expiring.empty:
        return
    # Most connectors are the same on both sides, and their ranges are parsed once.
    touching = cache(lambda listed: tuple(_touching(listed, expiring, new.compiled_at)))
    for local in locals_:
        rows = [
            Row(known.size, model.name, until, known.lo, known.hi, policy is new)
            for policy in policies
            for model in _listening(policy, local)
            for known, until in touching(model.remote_ip_ranges)
            if known.version == local.address.version
        ]
        yield local, _meetings(rows, new.compiled_at)


def _expiring(policy: Policy) -> Iterator[AddressRange]:
    if policy.next_change is None:
        return
    for model in policy.bundle.connectors:
        for given in model.remote_ip_ranges:
            if not isinstance(given, str) and policy.compiled_at < expires_at(given) < inf:
                yield parse_range(given.range)


def _touching(
    listed: tuple[str | RangeEntry, ...], expiring: RangeSet, now: float
) -> Iterator[tuple[AddressRange, float]]:
    """The live ones of a connector's ranges that touch an expiring one of either side, and until when they live."""
    for known, until in living(listed, now):
        if expiring.touches(known.version, known.lo, known.hi):
            yield known, until


def living(listed: Iterable[str | RangeEntry], now: float) -> Iterator[tuple[AddressRange, float]]:
    """Those of a connector's ranges that have not expired, and until when they live."""
    for given in listed:
        until = expires_at(given)
        if until > now:
            yield parse_range(given if isinstance(given, str) else given.range), until


def _listening(policy: Policy, local: Endpoint) -> Iterator[ReceiveConnector]:
    """The connectors behind `Policy.table`."""
    every = Endpoint(Address(local.address.version, 0), local.port)
    asked = local if local in policy.tables else every
    for model in policy.bundle.connectors:
        bound = bindings_of(model, policy.addresses)
        if any((binding.address, binding.port) == asked for binding in bound):
            yield model


def _meetings(rows: list[Row], now: float) -> Iterator[Meeting]:
    for lo, hi, open_ in stretches(rows):
        before, after = (_turns(open_, now, changed=changed) for changed in (False, True))
        moments = {now, *(until for until, _ in (*before, *after) if until < inf)}
        for was, is_ in {(_taker(before, moment), _taker(after, moment)) for moment in moments}:
            yield lo, hi, was, is_


def stretches(rows: list[Row]) -> Iterator[tuple[int, int, list[Row]]]:
    """Low and high end, and the ranges that hold all of it, the smallest first."""
    coming = sorted(rows, key=lambda row: row.lo, reverse=True)
    edges = sorted({edge for row in rows for edge in (row.lo, row.hi + 1)})
    open_: list[Row] = []
    for edge, following in pairwise(edges):
        open_ = [row for row in open_ if row.hi >= edge]
        while coming and coming[-1].lo == edge:
            insort(open_, coming.pop())
        yield edge, following - 1, open_


def _turns(open_: list[Row], now: float, *, changed: bool) -> list[_Turn]:
    """One side's connectors, one after the other, from now to the end of time."""
    found: list[_Turn] = []
    last = now
    for row in open_:
        if row.changed is changed and row.until > last:
            last = row.until
            found.append((last, row.connector))
    return found if last == inf else [*found, (inf, None)]


def _taker(turns: list[_Turn], moment: float) -> str | None:
    return turns[bisect_right(turns, moment, key=lambda turn: turn[0])][1]
