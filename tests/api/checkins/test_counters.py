"""Counters: nothing lost, nothing twice."""

from hypothesis import given
from hypothesis import strategies as st

from gatepost_api.checkins.counters import Totals, added, merged

TOTALS = st.dictionaries(
    st.sampled_from(["A", "B"]), st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 9), max_size=2)
)


@given(TOTALS, TOTALS)
def test_the_merge_does_not_mind_order_or_repeats(
    one: dict[str, dict[str, int]], two: dict[str, dict[str, int]]
) -> None:
    both = merged(one, two)
    assert both == merged(two, one)
    assert merged(both, one) == both == merged(both, both)


@given(st.lists(TOTALS, max_size=4))
def test_the_sum_is_that_of_each_counter(sets: list[Totals]) -> None:
    total = added(sets)
    for connector, events in total.items():
        for event, number in events.items():
            assert number == sum(one.get(connector, {}).get(event, 0) for one in sets)
