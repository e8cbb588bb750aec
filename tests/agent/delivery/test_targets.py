"""Which addresses a hop stands for, and where a stranger's DNS may not lead us."""

import asyncio

import pytest

from gatepost.policy.dialogue.routing import Hop, Mx, SmartHost
from gatepost_agent.delivery.errors import HopFailed, NoSuchDomain
from gatepost_agent.delivery.targets import MOST_TARGETS, Finder, Target
from tests.agent.delivery.resolver import FakeResolver

OUTSIDE = "93.184.215.14"


def resolver() -> FakeResolver:
    made = FakeResolver()
    made.mail["fabrikam.com"] = [(20, "b.fabrikam.com."), (10, "a.fabrikam.com.")]
    made.hosts |= {"a.fabrikam.com": [OUTSIDE], "b.fabrikam.com": ["93.184.215.15"]}
    return made


def find(
    hop: Hop, dns: FakeResolver | None = None, *, own: tuple[str, ...] = (), allow_private: bool = False
) -> list[Target]:
    finder = Finder(dns or resolver(), own=own, shuffle=lambda hosts: hosts.sort())
    return asyncio.run(finder.find(hop, allow_private=allow_private))


def mx(domain: str) -> Mx:
    return Mx("out", domain, 25)


def test_a_smart_host_may_be_private_because_the_operator_named_it() -> None:
    assert find(SmartHost("out", "10.0.0.5", 587)) == [Target("10.0.0.5", "10.0.0.5", 587)]
    dns = resolver()
    dns.hosts["smtp.contoso.com"] = ["10.0.0.6", "fd00::6"]
    assert find(SmartHost("out", "smtp.contoso.com", 25), dns) == [
        Target("smtp.contoso.com", "10.0.0.6", 25),
        Target("smtp.contoso.com", "fd00::6", 25),
    ]


def test_mx_hosts_come_in_the_order_of_their_preference() -> None:
    assert [target.name for target in find(mx("fabrikam.com"))] == ["a.fabrikam.com", "b.fabrikam.com"]


def test_a_domain_without_mx_is_its_own_host() -> None:
    dns = resolver()
    dns.mail["small.org"] = []
    dns.hosts["small.org"] = [OUTSIDE]
    assert find(mx("small.org"), dns) == [Target("small.org", OUTSIDE, 25)]


def test_a_domain_with_neither_mx_nor_address_takes_no_mail() -> None:
    dns = resolver()
    dns.mail["nothing.org"] = []
    dns.hosts["nothing.org"] = []
    with pytest.raises(NoSuchDomain, match="neither MX nor address"):
        find(mx("nothing.org"), dns)


def test_a_null_mx_takes_no_mail() -> None:
    dns = resolver()
    dns.mail["nomail.org"] = [(0, ".")]
    with pytest.raises(NoSuchDomain) as caught:
        find(mx("nomail.org"), dns)
    assert caught.value.status == "5.1.10"  # RFC 7505 4


def test_a_dead_mx_record_is_passed_over_and_an_unknown_one_is_not_now() -> None:
    dns = resolver()
    dns.dead.add("a.fabrikam.com")
    assert [target.name for target in find(mx("fabrikam.com"), dns)] == ["b.fabrikam.com"]
    del dns.hosts["b.fabrikam.com"]
    with pytest.raises(HopFailed, match=r"no answer from DNS for b\.fabrikam\.com"):
        find(mx("fabrikam.com"), dns)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.1.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        OUTSIDE,  # our own
    ],
)
def test_mx_leads_to_no_loopback_private_or_own_address_unless_allowed(address: str) -> None:
    dns = FakeResolver()
    dns.mail["evil.org"] = [(0, "mail.evil.org.")]
    dns.hosts["mail.evil.org"] = [address]
    with pytest.raises(HopFailed, match="no address that may be used"):
        find(mx("evil.org"), dns, own=(OUTSIDE,))
    assert len(find(mx("evil.org"), dns, own=(OUTSIDE,), allow_private=True)) == 1


def test_an_address_literal_is_held_to_the_same() -> None:
    assert find(mx(f"[{OUTSIDE}]")) == [Target(OUTSIDE, OUTSIDE, 25)]
    with pytest.raises(HopFailed):
        find(mx("[127.0.0.1]"))


def test_when_we_are_an_mx_only_better_ones_are_tried() -> None:
    dns = resolver()
    assert [t.name for t in find(mx("fabrikam.com"), dns, own=("b.fabrikam.com",))] == ["a.fabrikam.com"]
    with pytest.raises(HopFailed, match="best mail host ourselves"):
        find(mx("fabrikam.com"), dns, own=("A.fabrikam.com",))


def test_what_strangers_dns_makes_us_dial_is_bounded() -> None:
    dns = FakeResolver()
    dns.mail["many.org"] = [(n, f"h{n}.many.org.") for n in range(500)]
    dns.hosts |= {f"h{n}.many.org": [f"93.184.{n % 256}.1"] for n in range(500)}
    assert len(find(mx("many.org"), dns)) == MOST_TARGETS
    assert len(dns.asked) <= MOST_TARGETS + 1


def test_what_this_host_learns_of_its_own_names_counts_from_then_on() -> None:
    finder = Finder(resolver(), own=("mx9.contoso.com",))
    fabrikam = finder.find(mx("fabrikam.com"), allow_private=False)
    assert len(asyncio.run(fabrikam)) == 2
    finder.know(("A.fabrikam.com",))
    with pytest.raises(HopFailed, match="best mail host ourselves"):
        asyncio.run(finder.find(mx("fabrikam.com"), allow_private=False))


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ("2A00:1450:4001:0:0:0:0:1A", "2a00:1450:4001::1a"),
        (OUTSIDE, f"::ffff:{OUTSIDE}"),
    ],
)
def test_an_own_address_is_known_in_any_form(own: str, found: str) -> None:
    dns = FakeResolver()
    dns.mail["evil.org"] = [(0, "mail.evil.org.")]
    dns.hosts["mail.evil.org"] = [found]
    assert find(mx("evil.org"), dns) != []
    with pytest.raises(HopFailed, match="no address that may be used"):
        find(mx("evil.org"), dns, own=(own,))
