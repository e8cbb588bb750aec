"""Each smart host gets its share, whatever the pattern of mail."""

from collections import Counter

from gatepost.policy.dialogue.routing import Hop, Mx, SmartHost
from gatepost_agent.delivery.turns import Turns


def hosts(connector: str, *names: str) -> tuple[SmartHost, ...]:
    return tuple(SmartHost(connector, name, 25) for name in names)


A, B = hosts("a", "h1", "h2"), hosts("b", "h3", "h4")


def shares(*routes: tuple[Hop, ...]) -> Counter[str]:
    turns = Turns()
    firsts = [turns.ordered(hops)[0] for hops in routes]
    return Counter(hop.host for hop in firsts if isinstance(hop, SmartHost))


def test_alternating_between_send_connectors_is_fair_to_the_hosts_of_each() -> None:
    assert shares(*(A, B) * 50) == {"h1": 25, "h2": 25, "h3": 25, "h4": 25}


def test_a_route_that_falls_back_to_a_send_connector_takes_none_of_its_turns() -> None:
    assert shares(*(A + B, B) * 50) == {"h1": 25, "h2": 25, "h3": 25, "h4": 25}


def test_the_hosts_to_fall_back_to_take_turns_whatever_other_mail_there_is() -> None:
    turns = Turns()
    orders = [turns.ordered(hops) for hops in (A + B, A) * 50]
    assert Counter(hops[2] for hops in orders if len(hops) == 4) == dict.fromkeys(B, 25)


def test_domains_with_mx_behind_the_same_smart_hosts_share_their_turns() -> None:
    direct: list[tuple[Hop, ...]] = [(*A, Mx("direct", f"d{number}.org", 25)) for number in range(50)]
    assert shares(*direct) == {"h1": 25, "h2": 25}


def test_a_single_smart_host_and_mx_are_left_as_they_are() -> None:
    alone: tuple[Hop, ...] = (*hosts("a", "h1"), Mx("direct", "x.org", 25))
    turns = Turns()
    assert [turns.ordered(alone) for _ in range(3)] == [alone] * 3
