"""Sets of client addresses: exact, v4 and v6 apart, small however many ranges they were made of.

A set is kept as disjoint spans in ascending order that do not touch, so equal sets are equal values.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import islice
from typing import NamedTuple

from gatepost.policy.model.addresses import BITS, LAST, Address, AddressRange


class Span(NamedTuple):
    """Inclusive ends, as unsigned integers."""

    lo: int
    hi: int


class RangeSet(NamedTuple):
    """The addresses of both IP versions. Made by `ranges` and by the functions below, never by hand."""

    v4: tuple[Span, ...] = ()
    v6: tuple[Span, ...] = ()

    def spans(self, version: int) -> tuple[Span, ...]:
        return self.v4 if version == 4 else self.v6

    def holds(self, address: Address) -> bool:
        return self.touches(address.version, address.value, address.value)

    def touches(self, version: int, lo: int, hi: int) -> bool:
        """Whether any address from `lo` to `hi` is in the set."""
        spans = self.spans(version)
        at = _from(spans, lo)
        return at < len(spans) and spans[at].lo <= hi

    def size(self, version: int) -> int:
        """How many addresses of one IP version."""
        return sum(hi - lo + 1 for lo, hi in self.spans(version))

    @property
    def empty(self) -> bool:
        return not (self.v4 or self.v6)

    def told(self, most: int = 5) -> str:
        """The first few spans, and how many more there are, in one line."""
        more = len(self.v4) + len(self.v6) - most
        return ", ".join(islice(self.texts(), most)) + (f" and {more} more" if more > 0 else "")

    def texts(self) -> Iterator[str]:
        """The spans in the forms that `parse_range` reads: an address, a network, or low-high."""
        for version in (4, 6):
            for span in self.spans(version):
                yield span_text(version, span)


EMPTY = RangeSet()
EVERYTHING = RangeSet((Span(0, LAST[4]),), (Span(0, LAST[6]),))


def ranges(known: Iterable[AddressRange]) -> RangeSet:
    """The union of remote IP ranges."""
    by_version: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    for version, lo, hi, _ in known:
        by_version[version].append((lo, hi))
    return from_spans(sorted(by_version[4]), sorted(by_version[6]))


def from_spans(v4: Iterable[tuple[int, int]], v6: Iterable[tuple[int, int]]) -> RangeSet:
    """The union of spans given in ascending order of their low ends; they may overlap."""
    return RangeSet(tuple(_joined(v4)), tuple(_joined(v6)))


def union(sets: Iterable[RangeSet]) -> RangeSet:
    known = list(sets)
    return from_spans(merge(*(s.v4 for s in known)), merge(*(s.v6 for s in known)))


def difference(a: RangeSet, b: RangeSet) -> RangeSet:
    """What is in `a` and not in `b`."""
    return _by_version(_difference, a, b)


def intersection(a: RangeSet, b: RangeSet) -> RangeSet:
    """What is in both."""
    return _by_version(_intersection, a, b)


def span_text(version: int, span: Span) -> str:
    """A span as an operator would type it."""
    lo, hi = span
    size = hi - lo + 1
    if size == 1:
        return str(Address(version, lo))
    if size & (size - 1) == 0 and lo % size == 0:
        return f"{Address(version, lo)}/{BITS[version] - size.bit_length() + 1}"
    return f"{Address(version, lo)}-{Address(version, hi)}"


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[Span]:
    lo, hi = -1, -2
    for next_lo, next_hi in spans:
        if next_lo > hi + 1:
            if hi >= 0:
                yield Span(lo, hi)
            lo, hi = next_lo, next_hi
        elif next_hi > hi:
            hi = next_hi
    if hi >= 0:
        yield Span(lo, hi)


_Operation = Callable[[tuple[Span, ...], tuple[Span, ...]], Iterator[Span]]


def _by_version(operation: _Operation, a: RangeSet, b: RangeSet) -> RangeSet:
    return RangeSet(tuple(operation(a.v4, b.v4)), tuple(operation(a.v6, b.v6)))


def _from(spans: tuple[Span, ...], value: int) -> int:
    """Where in `spans` those begin that reach `value` or lie above it."""
    at = bisect_right(spans, (value, LAST[6])) - 1
    return at if at >= 0 and spans[at].hi >= value else at + 1


def _difference(a: tuple[Span, ...], b: tuple[Span, ...]) -> Iterator[Span]:
    for lo, hi in a:
        rest = lo
        for at in range(_from(b, lo), len(b)):
            if b[at].lo > hi:
                break
            if b[at].lo > rest:
                yield Span(rest, b[at].lo - 1)
            rest = b[at].hi + 1
        if rest <= hi:
            yield Span(rest, hi)


def _intersection(a: tuple[Span, ...], b: tuple[Span, ...]) -> Iterator[Span]:
    few, many = sorted((a, b), key=len)
    for lo, hi in few:
        for at in range(_from(many, lo), len(many)):
            if many[at].lo > hi:
                break
            yield Span(max(lo, many[at].lo), min(hi, many[at].hi))
