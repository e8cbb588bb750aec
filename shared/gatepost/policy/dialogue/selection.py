"""Which connector takes a connection: the smallest range that holds the client wins, in any order.

Theory of operation: the ranges of all connectors on one local address and port are cut into disjoint stretches,
each with its winner, once, when a bundle is compiled (a sweep with a heap: any nesting, any overlap). A look-up
is then one bisection. Two connectors that overlap in part, or hold the same range, are refused before that:
nobody could say who wins. Source: Exchange parameters Bindings and RemoteIPRanges (reference section 2).
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from gatepost.policy.model.addresses import Address, AddressRange


class Match(NamedTuple):
    """The connector that takes a client, and its range as typed."""

    connector: str
    range: str


class Entry(NamedTuple):
    """One range of one connector."""

    connector: str
    range: AddressRange


class Conflict(NamedTuple):
    """Two ranges of different connectors that overlap in part or are equal."""

    first: Entry
    second: Entry


class _Stretches:
    """Disjoint stretches of one IP version: `starts` ascending, `winners` an index into `matches` or -1."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.matches = [Match(entry.connector, entry.range.text) for entry in entries]
        starts: list[int] = []
        self.winners = array("l")
        for start, winner in _sweep(entries):
            starts.append(start)
            self.winners.append(winner)
        # 8 octets a start instead of 36, where the addresses fit.
        fits = not starts or starts[-1] < 2**64
        self.starts: Sequence[int] = array("Q", starts) if fits else starts

    def lookup(self, value: int) -> Match | None:
        at = bisect_right(self.starts, value) - 1
        winner = self.winners[at] if at >= 0 else -1
        return self.matches[winner] if winner >= 0 else None

    def stretches(self, last: int) -> Iterator[tuple[int, int, Match | None]]:
        for at, start in enumerate(self.starts):
            end = self.starts[at + 1] - 1 if at + 1 < len(self.starts) else last
            winner = self.winners[at]
            yield start, end, self.matches[winner] if winner >= 0 else None


def _sweep(entries: Sequence[Entry]) -> Iterator[tuple[int, int]]:
    """(start, winner) of each stretch, ascending; neighbours have different winners."""
    order = sorted(range(len(entries)), key=lambda at: entries[at].range.lo)
    edges = sorted({edge for entry in entries for edge in (entry.range.lo, entry.range.hi + 1)})
    heap: list[tuple[int, int, int]] = []  # (size, hi, index): the top is the most specific open range
    upcoming, before = 0, -1
    for edge in edges:
        while upcoming < len(order) and entries[order[upcoming]].range.lo == edge:
            at = order[upcoming]
            _, lo, hi, _ = entries[at].range
            heappush(heap, (hi - lo, hi, at))
            upcoming += 1
        while heap and heap[0][1] < edge:
            heappop(heap)
        winner = heap[0][2] if heap else -1
        if winner != before:
            yield edge, winner
            before = winner


class Table:
    """The compiled ranges of one local address and port."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        listed = list(entries)
        self._by_version = {
            version: _Stretches([entry for entry in listed if entry.range.version == version])
            for version in (4, 6)
        }

    def lookup(self, address: Address) -> Match | None:
        """The most specific match for a client; None: no connector takes it."""
        return self._by_version[address.version].lookup(address.value)

    def stretches(self, version: int) -> Iterator[tuple[int, int, Match | None]]:
        """(lo, hi, winner) of every stretch of an IP version: what exposure is made of."""
        return self._by_version[version].stretches(2 ** (32 if version == 4 else 128) - 1)


def conflicts(entries: Iterable[Entry]) -> Iterator[Conflict]:
    """Pairs of different connectors' ranges on one local address and port that nobody may write.

    Within one connector ranges may overlap as they like. At most one pair is given for each range.
    """
    listed = list(entries)
    for version in (4, 6):
        yield from _conflicts([entry for entry in listed if entry.range.version == version])


def _conflicts(entries: list[Entry]) -> Iterator[Conflict]:
    ordered = sorted(range(len(entries)), key=lambda at: (entries[at].range.lo, -entries[at].range.hi))
    open_: list[tuple[int, int]] = []  # (hi, index), ascending: ranges that may still overlap the next one
    for at in ordered:
        entry = entries[at]
        _, lo, hi, _ = entry.range
        del open_[: bisect_left(open_, (lo, -1))]
        other = _cut(entries, open_[: bisect_left(open_, (hi, -1))], entry) or _equal(entries, open_, entry)
        if other is not None:
            yield Conflict(other, entry)
        insort(open_, (hi, at))


def _cut(entries: list[Entry], shorter: list[tuple[int, int]], entry: Entry) -> Entry | None:
    """An open range of another connector that ends inside `entry`: since it began before, they overlap in part."""
    return next((entries[i] for _, i in shorter if entries[i].connector != entry.connector), None)


def _equal(entries: list[Entry], open_: list[tuple[int, int]], entry: Entry) -> Entry | None:
    _, lo, hi, _ = entry.range
    at = bisect_left(open_, (hi, -1))
    while at < len(open_) and open_[at][0] == hi:
        other = entries[open_[at][1]]
        if other.range.lo == lo and other.connector != entry.connector:
            return other
        at += 1
    return None
