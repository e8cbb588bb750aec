"""Routing: the most specific address space, then cost, then turns."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.policy.dialogue.routing import Mx, NoRoute, Route, Routes, SmartHost, turned
from gatepost.policy.model.send_connector import SendConnector


def connector(name: str, *spaces: str, hosts: tuple[str, ...] = (), **more: object) -> SendConnector:
    settings_ = {
        "name": name,
        "address_spaces": spaces,
        "smart_hosts": hosts,
        "dns_routing_enabled": not hosts,
    }
    return SendConnector.model_validate(settings_ | more)


def first(routes: Routes, domain: str) -> str:
    found = routes.find(domain)
    return found.hops[0].connector if isinstance(found, Route) else found.reason


SPECIFIC = [
    connector("everybody", "*"),
    connector("com", "*.com"),
    connector("family", "*.contoso.com"),
    connector("exact", "contoso.com"),
    connector("mail", "mail.contoso.com"),
]


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("contoso.com", "exact"),
        ("mail.contoso.com", "mail"),
        ("x.mail.contoso.com", "family"),
        ("other.contoso.com", "family"),
        ("notcontoso.com", "com"),
        ("com", "com"),
        ("fabrikam.org", "everybody"),
        ("[192.0.2.1]", "everybody"),
    ],
)
def test_the_most_specific_address_space_wins_in_any_order(domain: str, expected: str) -> None:
    for order in itertools.islice(itertools.permutations(SPECIFIC), 0, 120, 7):
        assert first(Routes(order), domain) == expected


def test_a_wildcard_holds_the_domain_itself_and_what_is_below_it() -> None:
    routes = Routes([connector("family", "*.contoso.com")])
    assert first(routes, "contoso.com") == "family"
    assert first(routes, "a.b.contoso.com") == "family"
    assert isinstance(routes.find("xcontoso.com"), NoRoute)


def test_specificity_beats_cost() -> None:
    routes = Routes([connector("cheap", "*"), connector("dear", "contoso.com;100")])
    assert first(routes, "contoso.com") == "dear"


def test_the_lowest_cost_is_first_and_the_others_stand_behind_it() -> None:
    routes = Routes(
        [
            connector("backup", "*;10", hosts=("b.contoso.com:25",)),
            connector("main", "*;2", hosts=("a.contoso.com:25",)),
        ]
    )
    found = routes.find("fabrikam.com")
    assert found == Route((SmartHost("main", "a.contoso.com", 25), SmartHost("backup", "b.contoso.com", 25)))


def test_mail_for_a_partner_never_falls_back_to_the_connector_for_everybody() -> None:
    routes = Routes(
        [connector("everybody", "*", hosts=("a:25",)), connector("partner", "fabrikam.com", hosts=("p:25",))]
    )
    assert routes.find("fabrikam.com") == Route((SmartHost("partner", "p", 25),))


def test_equal_costs_go_by_name_whatever_the_order() -> None:
    pair = [connector("b", "*", hosts=("b:25",)), connector("a", "*", hosts=("a:25",))]
    assert Routes(pair).find("x.org") == Routes(reversed(pair)).find("x.org")
    assert first(Routes(pair), "x.org") == "a"


def test_smart_hosts_take_turns_and_each_stands_behind_the_others() -> None:
    routes = Routes([connector("c", "*", hosts=("a:25", "b:26", "[2001:db8::1]:27"))])
    found = routes.find("x.org")
    assert isinstance(found, Route)
    orders = [[str(hop) for hop in turned(found.hops, turn)] for turn in range(3)]
    assert orders == [
        ["a:25", "b:26", "[2001:db8::1]:27"],
        ["b:26", "[2001:db8::1]:27", "a:25"],
        ["[2001:db8::1]:27", "a:25", "b:26"],
    ]


def test_turns_leave_the_order_of_send_connectors_alone() -> None:
    routes = Routes(
        [
            connector("main", "*;1", hosts=("a:25", "b:25")),
            connector("backup", "*;2", hosts=("c:25", "d:25", "e:25")),
            connector("direct", "*;3"),
        ]
    )
    found = routes.find("x.org")
    assert isinstance(found, Route)
    orders = [" ".join(str(hop) for hop in turned(found.hops, turn)) for turn in range(3)]
    assert orders == [
        "a:25 b:25 c:25 d:25 e:25 mx:x.org",
        "b:25 a:25 d:25 e:25 c:25 mx:x.org",
        "a:25 b:25 e:25 c:25 d:25 mx:x.org",
    ]


@given(hosts=st.integers(1, 5), messages=st.integers(1, 60))
@settings(max_examples=40)
def test_turns_are_fair(hosts: int, messages: int) -> None:
    routes = Routes([connector("c", "*", hosts=tuple(f"h{n}:25" for n in range(hosts)))])
    found = routes.find("x.org")
    assert isinstance(found, Route)
    firsts = []
    for turn in range(messages):
        hops = turned(found.hops, turn)
        assert len(set(hops)) == hosts
        firsts.append(hops[0])
    shares = [firsts.count(hop) for hop in set(firsts)]
    assert max(shares) - min(shares) <= 1


def test_dns_routing_gives_the_domain_and_the_port() -> None:
    routes = Routes([connector("direct", "*", port=2525)])
    found = routes.find("fabrikam.com")
    assert found == Route((Mx("direct", "fabrikam.com", 2525),))
    assert str(Mx("direct", "fabrikam.com", 2525)) == "mx:fabrikam.com:2525"


def test_a_disabled_connector_takes_nothing() -> None:
    assert isinstance(Routes([connector("off", "*", enabled=False)]).find("x.org"), NoRoute)


def test_no_route_says_why() -> None:
    assert Routes([]).find("fabrikam.com") == NoRoute(
        "no send connector has an address space for fabrikam.com"
    )
