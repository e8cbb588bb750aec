"""Width, room, circuit, rate, retry: values with the time as an argument."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_agent.delivery.pace import (
    FEWEST_WAITING,
    FIRST_WIDTH,
    LONGEST_REST_S,
    LONGEST_RETRY_S,
    MOST_WAITING,
    Circuit,
    Rate,
    Room,
    Width,
    retry_after_s,
)


def test_width_grows_by_one_a_round_and_halves_once_for_one_wall() -> None:
    width = Width(most=20)
    assert width.limit == FIRST_WIDTH
    for _ in range(5):
        width.went_well()
    assert width.limit == 5
    for _ in range(10):
        width.met_trouble(100.0)
    assert width.limit == 2
    width.met_trouble(101.0)
    assert width.limit == 1
    width.met_trouble(102.0)
    assert width.limit == 1


def test_width_stays_within_the_connectors_limit() -> None:
    width = Width(most=3)
    assert width.limit == 3
    for _ in range(1000):
        width.went_well()
    assert width.limit == 3
    width.met_trouble(1.0)
    assert width.limit == 1


def test_a_circuit_rests_longer_each_time_and_not_for_ever() -> None:
    circuit = Circuit()
    rests = []
    now = 0.0
    for _ in range(12):
        circuit.failed(now, 0.5, "refused")
        rests.append(circuit.rests_until - now)
        assert circuit.resting(now)
        now = circuit.rests_until
        assert not circuit.resting(now)
    assert rests[:4] == [5, 10, 20, 40]
    assert rests[-1] == LONGEST_REST_S
    circuit.opened()
    circuit.failed(now, 0.5, "refused")
    assert circuit.rests_until - now == 5


def test_room_follows_what_a_next_hop_takes() -> None:
    room = Room()
    assert room.look(0.0, 0) == MOST_WAITING
    for _ in range(50):
        room.took_one()
    assert room.look(0.5, 200) == MOST_WAITING  # judged once a second
    assert room.look(1.0, 200) == 100
    assert room.look(2.0, 100) == FEWEST_WAITING  # nothing was taken
    assert room.look(3.0, 0) == MOST_WAITING  # nobody had to wait


@given(per_minute=st.integers(1, 600), calls=st.integers(1, 400))
def test_a_rate_lets_a_minutes_worth_go_and_then_names_the_right_wait(per_minute: int, calls: int) -> None:
    rate = Rate(per_minute)
    now, sent = 1000.0, 0
    for _ in range(calls):
        wait = rate.take(now)
        if wait:
            assert 0 < wait <= 60.0 / per_minute + 0.01
            now += wait
            assert rate.take(now) == 0
        sent += 1
    assert sent <= per_minute + (now - 1000.0) * per_minute / 60 + 1


def test_retries_double_and_are_spread() -> None:
    assert [retry_after_s(n, 0.5) for n in (1, 2, 3)] == [30, 60, 120]
    assert retry_after_s(500, 0.5) == LONGEST_RETRY_S
    assert retry_after_s(1, 0.0) == 24
    assert retry_after_s(1, 1.0) == pytest.approx(36)


def test_a_rest_is_ended_for_who_asks_after_the_failure_and_the_next_is_longer_all_the_same() -> None:
    circuit = Circuit()
    circuit.failed(100.0, 0.5, "down")
    circuit.end_rest(100.0)
    assert circuit.resting(101.0)
    circuit.end_rest(100.5)
    assert not circuit.resting(101.0)
    circuit.failed(101.0, 0.5, "down")
    assert circuit.resting(110.9)
