"""Selection against brute force: the smallest range that holds the client, over all ranges of all connectors."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.policy.dialogue.selection import Listing, Match, Table, conflicts
from gatepost.policy.model.addresses import LAST, Address, AddressRange, parse_address, parse_range

Row = tuple[str, AddressRange]
SPACE = 24
# Low addresses, and those around where a start no longer fits into eight octets.
BASES = {4: [0, LAST[4] - SPACE + 1], 6: [0, 2**64 - SPACE // 2, LAST[6] - SPACE + 1]}


@st.composite
def rows(draw: st.DrawFn) -> tuple[int, int, list[Row]]:
    """A version, a base, and ranges of three connectors in the space above the base."""
    version = draw(st.sampled_from([4, 6]))
    base = draw(st.sampled_from(BASES[version]))
    found = []
    for at in range(draw(st.integers(0, 7))):
        lo = draw(st.integers(0, SPACE - 1))
        hi = draw(st.integers(lo, SPACE - 1))
        found.append(
            (draw(st.sampled_from("ABC")), AddressRange(version, base + lo, base + hi, f"range {at}"))
        )
    return version, base, found


def table(listed: list[Row]) -> Table:
    return Table(Listing(listed))


def smallest(listed: list[Row], address: Address) -> set[Match]:
    """Every match of the smallest size: more than one only where nobody could say who wins."""
    holding = [(known.size, Match(name, known.text)) for name, known in listed if known.holds(address)]
    return {match for size, match in holding if size == min(holding)[0]}


def clash(a: Row, b: Row) -> bool:
    """Two connectors' ranges that are equal, or that overlap without one holding the other."""
    (one, first), (other, second) = a, b
    overlap = first.lo <= second.hi and second.lo <= first.hi
    nested = (first.lo <= second.lo and second.hi <= first.hi) or (
        second.lo <= first.lo and first.hi <= second.hi
    )
    return one != other and overlap and (not nested or first[1:3] == second[1:3])


@settings(max_examples=300, deadline=None)
@given(rows(), st.randoms(use_true_random=False))
def test_the_smallest_range_that_holds_the_client_wins(
    made: tuple[int, int, list[Row]], chance: random.Random
) -> None:
    version, base, listed = made
    compiled = table(listed)
    shuffled = listed.copy()
    chance.shuffle(shuffled)
    again = table(shuffled)
    for value in range(base, base + SPACE):
        address = Address(version, value)
        wins = smallest(listed, address)
        found = compiled.lookup(address)
        assert (found in wins) if wins else (found is None)
        if len({match.connector for match in wins}) <= 1:
            other = again.lookup(address)
            assert (other.connector if other else None) == (found.connector if found else None)
    assert compiled.lookup(Address(10 - version, base % SPACE)) is None


@settings(max_examples=300, deadline=None)
@given(rows(), st.randoms(use_true_random=False))
def test_conflicts_are_found_exactly_when_two_connectors_clash(
    made: tuple[int, int, list[Row]], chance: random.Random
) -> None:
    _, _, listed = made
    chance.shuffle(listed)
    found = list(conflicts(Listing(listed)))
    clashes = any(clash(a, b) for at, a in enumerate(listed) for b in listed[at + 1 :])
    assert bool(found) == clashes
    for first, second in found:
        assert clash(first, second)
        assert {first, second} <= set(listed)


@settings(max_examples=200, deadline=None)
@given(rows())
def test_stretches_are_the_winners_without_gap_or_overlap(made: tuple[int, int, list[Row]]) -> None:
    version, _, listed = made
    compiled = table(listed)
    stretches = list(compiled.stretches(version))
    assert [lo for lo, _, _ in stretches[1:]] == [hi + 1 for _, hi, _ in stretches[:-1]]
    assert not stretches or stretches[-1][1] == LAST[version]
    for lo, hi, winner in stretches:
        for value in {lo, hi}:
            match = compiled.lookup(Address(version, value))
            assert winner == (match.connector if match else None)
    assert list(compiled.stretches(10 - version)) == []


def named(connector: str, *texts: str) -> list[Row]:
    return [(connector, parse_range(text)) for text in texts]


def test_the_article_a_listed_host_within_everybody() -> None:
    listed = named("Default", "0.0.0.0-255.255.255.255", "::/0") + named(
        "Relay", "192.168.5.10", "10.20.0.0/24"
    )
    for ordered in (listed, listed[::-1]):
        found = table(ordered)
        assert found.lookup(parse_address("192.168.5.10")) == Match("Relay", "192.168.5.10")
        assert found.lookup(parse_address("10.20.0.255")) == Match("Relay", "10.20.0.0/24")
        assert found.lookup(parse_address("10.20.1.0")) == Match("Default", "0.0.0.0-255.255.255.255")
        assert found.lookup(parse_address("255.255.255.255")) == Match("Default", "0.0.0.0-255.255.255.255")
        assert found.lookup(parse_address("::ffff:192.168.5.10")) == Match("Relay", "192.168.5.10")
        assert found.lookup(parse_address("fe80::1%eth0")) == Match("Default", "::/0")
    assert list(conflicts(Listing(listed))) == []


def test_notation_is_of_no_account() -> None:
    one = named("A", "10.0.0.0/24") + named("B", "10.0.0.0-10.0.0.255")
    (found,) = conflicts(Listing(one))
    assert {found.first.connector, found.second.connector} == {"A", "B"}
    assert {found.first.range.text, found.second.range.text} == {"10.0.0.0/24", "10.0.0.0-10.0.0.255"}


def test_one_connector_may_overlap_itself_as_it_likes() -> None:
    """The square of 20,000 would pass the time limit of a test."""
    staircase = [("A", AddressRange(4, at, at + 40_000, "")) for at in range(20_000)]
    listing = Listing(staircase)
    assert list(conflicts(listing)) == []
    Table(listing)
