"""Which connector takes a connection: the smallest range that holds the client wins, in any order.

Theory of operation: the ranges of all connectors on one local address and port are cut into disjoint stretches,
each with its winner, once, when a bundle is compiled (a sweep with a heap: any nesting, any overlap). A look-up
is then one bisection. Two connectors that overlap in part, or hold the same range, are refused before that:
nobody could say who wins. Source: Exchange parameters Bindings and RemoteIPRanges (reference section 2).
"""

from array import array
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import chain, islice
from typing import NamedTuple

from gatepost.policy.model.addresses import LAST, Address, AddressRange


class Match(NamedTuple):
    """The connector that takes a client, and its range as typed."""

    connector: str
    range: str


class Entry(NamedTuple):
    """One range of one connector."""

    connector: str
    range: AddressRange


Stretch = tuple[int, int, str | None]
"""Low and high end, and the connector that takes these clients; None: nobody does."""


class Conflict(NamedTuple):
    """Two ranges of different connectors that overlap in part or are equal."""

    first: Entry
    second: Entry


Row = tuple[str, AddressRange]
"""A connector's name and one of its ranges."""

_Span = tuple[int, int, int]  # lo, -hi, which row: of two that begin together the longer comes first


class Listing:
    """The ranges on one local address and port, put in order once, for `Table` and `conflicts`."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.connectors: list[str] = []
        self.texts: list[str] = []
        spans: dict[int, list[_Span]] = {4: [], 6: []}
        for at, (connector, (version, lo, hi, text)) in enumerate(rows):
            self.connectors.append(connector)
            self.texts.append(text)
            spans[version].append((lo, -hi, at))
        self.spans = {version: sorted(listed) for version, listed in spans.items()}

    def entry(self, version: int, span: _Span) -> Entry:
        lo, negative_hi, at = span
        return Entry(self.connectors[at], AddressRange(version, lo, -negative_hi, self.texts[at]))


class _Stretches:
    """Disjoint stretches of one IP version: `starts` ascending, `winners` which row, or -1."""

    def __init__(self, listing: Listing, version: int) -> None:
        self._connectors = listing.connectors
        self._texts = listing.texts
        starts: list[int] = []
        winners = array("l")
        for start, winner in _sweep(listing.spans[version]):
            if start <= LAST[version]:
                starts.append(start)
                winners.append(winner)
        self._winners = winners
        # 8 octets a start instead of 36, where the addresses fit.
        fits = not starts or starts[-1] < 2**64
        self._starts: Sequence[int] = array("Q", starts) if fits else starts

    def lookup(self, value: int) -> Match | None:
        at = bisect_right(self._starts, value) - 1
        winner = self._winners[at] if at >= 0 else -1
        return Match(self._connectors[winner], self._texts[winner]) if winner >= 0 else None

    def stretches(self, last: int) -> Iterator[Stretch]:
        following = chain(islice(self._starts, 1, None), (last + 1,))
        for start, end, winner in zip(self._starts, following, self._winners):  # noqa: B905 (shortest: no starts)
            yield start, end - 1, self._connectors[winner] if winner >= 0 else None


_NEVER = 2**129  # behind every address


def _sweep(spans: list[_Span]) -> Iterator[tuple[int, int]]:
    """(start, winner) of each stretch, ascending; neighbours have different winners."""
    edges = [lo for lo, _, _ in spans]
    edges += [1 - negative_hi for _, negative_hi, _ in spans]
    edges.sort()
    coming = chain(spans, [(_NEVER, -_NEVER, -1)])
    lo, negative_hi, at = next(coming)
    heap = [(_NEVER, _NEVER, -1)]  # (size, hi, which): the top is the most specific open span, or nobody
    before = -1
    for edge in edges:
        while lo == edge:
            heappush(heap, (-negative_hi - lo, -negative_hi, at))
            lo, negative_hi, at = next(coming)
        while heap[0][1] < edge:
            heappop(heap)
        winner = heap[0][2]
        if winner != before:
            yield edge, winner
            before = winner


class Table:
    """The compiled ranges of one local address and port."""

    def __init__(self, listing: Listing) -> None:
        self._by_version = {version: _Stretches(listing, version) for version in (4, 6)}

    def lookup(self, address: Address) -> Match | None:
        """The most specific match for a client; None: no connector takes it."""
        return self._by_version[address.version].lookup(address.value)

    def stretches(self, version: int) -> Iterator[Stretch]:
        """Every stretch of an IP version, from the first range on: what exposure is made of."""
        return self._by_version[version].stretches(LAST[version])


def conflicts(listing: Listing) -> Iterator[Conflict]:
    """Pairs of different connectors' ranges that nobody may write, one at most for each range.

    Within one connector ranges may overlap as they like.
    """
    for version in (4, 6):
        for first, second in _conflicts(listing, listing.spans[version]):
            yield Conflict(listing.entry(version, first), listing.entry(version, second))


def _conflicts(listing: Listing, spans: list[_Span]) -> Iterator[tuple[_Span, _Span]]:
    """A span clashes with an open one of another connector that ends inside it, or that is equal to it.

    Only the open span that ends first matters of each connector, so a connector may hold any number of ranges that
    overlap each other.
    """
    connectors = listing.connectors
    open_: dict[str, list[tuple[int, _Span]]] = {}  # a heap for each connector, by high end
    firsts: list[tuple[int, _Span]] = []  # the top of each heap, ascending
    before: _Span | None = None
    for span in spans:
        lo, negative_hi, at = span
        mine, hi = connectors[at], -negative_hi
        while firsts and firsts[0][0] < lo:
            _close(open_[connectors[firsts.pop(0)[1][2]]], firsts, lo)
        if firsts and firsts[0][0] <= hi:
            other = next((o for end, o in firsts[:2] if connectors[o[2]] != mine and end < hi), None)
            if before is not None and before[:2] == span[:2] and connectors[before[2]] != mine:
                other = before
            if other is not None:
                yield other, span
        heap = open_.setdefault(mine, [])
        if heap:
            firsts.remove(heap[0])
        heappush(heap, (hi, span))
        insort(firsts, heap[0])
        before = span


def _close(heap: list[tuple[int, _Span]], firsts: list[tuple[int, _Span]], lo: int) -> None:
    """A connector's spans that end before `lo` are done with."""
    while heap and heap[0][0] < lo:
        heappop(heap)
    if heap:
        insort(firsts, heap[0])
