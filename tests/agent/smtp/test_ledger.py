"""Places are given back whole, and rates stay bounded."""

from gatepost.policy.dialogue.decision import Charge, Limit
from gatepost_agent.smtp.ledger import Place, Rates, Sessions


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


def test_a_charge_is_found_under_its_limit_connector_and_key() -> None:
    rates = Rates()
    rates.book([charge(1, 70.0)], now=10.0)
    assert rates.states == {(Limit.MESSAGES, "Relay", "1"): 70.0}


def test_rates_that_ran_out_are_forgotten() -> None:
    rates = Rates()
    rates.book([charge(1, 70.0), charge(2, 90.0)], now=10.0)
    rates.prune(80.0)
    assert list(rates.states.values()) == [90.0]


def test_a_flood_of_addresses_loses_the_states_that_matter_least() -> None:
    rates = Rates(limit=100)
    for client in range(1000):
        rates.book([charge(client, 100.0 + client)], now=10.0)
    assert 80 < len(rates.states) <= 100
    assert (Limit.MESSAGES, "Relay", "999") in rates.states
