"""Rates against a simulated clock, and shares of free slots."""

from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.dialogue.throttle import back_pressure_s, share_of_free, take

_GAPS = st.lists(st.floats(min_value=0, max_value=30), min_size=1, max_size=80)


@given(st.integers(min_value=1, max_value=600), _GAPS)
def test_no_minute_sees_more_than_twice_the_rate_and_none_starves(per_minute: int, gaps: list[float]) -> None:
    now, state, passed = 1000.0, None, []
    for gap in gaps:
        now += gap
        taken = take(state, now, per_minute)
        state = taken.state
        if taken.allowed:
            passed.append(now)
    for at in passed:
        # A full bucket and what a minute refills: the bound of every leaky bucket.
        assert sum(at <= other < at + 60 for other in passed) <= 2 * per_minute + 1
    assert passed[0] == 1000.0 + gaps[0]


@given(st.integers(min_value=1, max_value=100))
def test_a_minutes_worth_may_come_at_once_and_one_more_may_not(per_minute: int) -> None:
    state = None
    for _ in range(per_minute):
        taken = take(state, 5.0, per_minute)
        assert taken.allowed
        state = taken.state
    refused = take(state, 5.0, per_minute)
    assert not refused.allowed
    assert refused.state == state
    assert take(state, 5.0 + 60.0 / per_minute + 0.01, per_minute).allowed


def test_a_clock_that_goes_back_gives_no_room() -> None:
    state = take(None, 1000.0, 1).state
    assert not take(state, 900.0, 1).allowed


def test_shares() -> None:
    assert share_of_free(5000, 0, 2) == 100
    assert share_of_free(5000, 4900, 2) == 2
    assert share_of_free(10, 20, 50) == 0


def test_back_pressure_rises_in_steps_of_five_seconds() -> None:
    fills = (0.0, 0.799, 0.8, 0.819, 0.82, 0.9, 0.98, 1.0, 3.0)
    assert [back_pressure_s(fill) for fill in fills] == [0, 0, 10, 10, 15, 35, 55, 55, 55]
