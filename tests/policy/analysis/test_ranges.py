"""Set operations against sets of integers."""

from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.analysis.ranges import (
    EVERYTHING,
    RangeSet,
    difference,
    from_spans,
    intersection,
    ranges,
    union,
)
from gatepost.policy.model.addresses import LAST, Address, AddressRange, parse_range

SPANS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda p: (p[0], p[0] + p[1])), max_size=6
)


def members(found: RangeSet, version: int) -> set[int]:
    return {value for lo, hi in found.spans(version) for value in range(lo, hi + 1)}


def made(spans: list[tuple[int, int]], version: int) -> RangeSet:
    return ranges(AddressRange(version, lo, hi, "") for lo, hi in spans)


@given(SPANS, SPANS, st.sampled_from([4, 6]))
def test_the_operations_are_those_of_sets(
    a: list[tuple[int, int]], b: list[tuple[int, int]], version: int
) -> None:
    left, right = made(a, version), made(b, version)
    in_a, in_b = members(left, version), members(right, version)
    assert in_a == {value for lo, hi in a for value in range(lo, hi + 1)}
    assert members(union([left, right]), version) == in_a | in_b
    assert members(difference(left, right), version) == in_a - in_b
    assert members(intersection(left, right), version) == in_a & in_b
    assert left.size(version) == len(in_a)
    assert left.size(10 - version) == 0
    assert {v for v in range(60) if left.holds(Address(version, v))} == in_a


@given(SPANS, SPANS)
def test_equal_sets_are_equal_values(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    left, right = made(a, 4), made(b, 4)
    assert (left == right) == (members(left, 4) == members(right, 4))


@given(SPANS, st.sampled_from([4, 6]))
def test_texts_read_back_as_the_same_set(spans: list[tuple[int, int]], version: int) -> None:
    # From 1 on: 0.0.0.0 alone is no client's address. In 2001:db8:: for v6, away from translated space.
    base = 1 if version == 4 else 0x20010DB8 << 96
    found = made([(base + lo, base + hi) for lo, hi in spans], version)
    assert ranges(map(parse_range, found.texts())) == found


def test_spans_are_told_as_an_operator_would_type_them() -> None:
    found = ranges(
        map(parse_range, ["10.0.0.0-10.0.0.255", "10.0.1.1", "192.168.0.5-192.168.0.7", "2001:db8::/64"])
    )
    assert list(found.texts()) == ["10.0.0.0/24", "10.0.1.1", "192.168.0.5-192.168.0.7", "2001:db8::/64"]


def test_everything_is_every_address_of_both_versions() -> None:
    assert EVERYTHING.size(4) == 2**32
    assert EVERYTHING.size(6) == 2**128
    assert difference(EVERYTHING, EVERYTHING).empty
    assert list(EVERYTHING.texts()) == ["0.0.0.0/0", "::/0"]
    assert from_spans([(0, 5), (6, LAST[4])], [(0, LAST[6])]) == EVERYTHING
