"""Places are given back whole, and rates stay bounded."""

from gatepost.policy.dialogue.decision import Charge, Limit
from gatepost.policy.dialogue.throttle import take
from gatepost_agent.smtp.ledger import KEPT_S, Place, Rates, Sessions


def test_places_are_counted_by_connector_and_client() -> None:
    sessions = Sessions()
    here, there, other = Place("A", "10.0.0.1"), Place("A", "10.0.0.2"), Place("B", "10.0.0.1")
    for place in (here, here, there, other):
        sessions.enter(place)
    assert (sessions.total, sessions.by_connector["A"], sessions.by_place[here]) == (4, 3, 2)
    for place in (here, here, there, other):
        sessions.leave(place)
    assert (sessions.total, dict(sessions.by_connector), dict(sessions.by_place)) == (0, {}, {})


def charge(client: int, state: float) -> Charge:
    return Charge(Limit.MESSAGES, "Relay", str(client), state)


def state_of(rates: Rates, client: int) -> float | None:
    return rates.get(Limit.MESSAGES, "Relay", str(client))


def test_a_charge_is_found_under_its_limit_connector_and_key() -> None:
    rates = Rates()
    rates.book([charge(1, 70.0)])
    assert state_of(rates, 1) == 70.0
    assert rates.get(Limit.RECIPIENTS, "Relay", "1") is None
    assert rates.get(Limit.MESSAGES, "Other", "1") is None
    rates.book([charge(1, 80.0)])
    assert state_of(rates, 1) == 80.0


def test_a_state_is_kept_for_as_long_as_it_counts_and_forgotten_then() -> None:
    """One a minute lies 90 seconds ahead at most."""
    rates = Rates()
    for now in range(0, 1000, 10):
        rates.age(float(now))
        rates.book([charge(now, take(None, now, per_minute=1).state)])
        for client in range(0, now, 10):
            assert client < now - 90 or state_of(rates, client) is not None
    assert len(rates) <= 2 * (KEPT_S + 20) / 10


def test_a_flood_of_a_million_addresses_takes_no_more_room_and_spares_who_came_last() -> None:
    rates = Rates(limit=10_000)
    for client in range(1_000_000):
        rates.book([charge(client, 100.0)])
        assert len(rates) <= 10_000
    assert all(state_of(rates, client) == 100.0 for client in range(995_000, 1_000_000))
