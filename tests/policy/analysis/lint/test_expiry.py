"""Expiry may only narrow."""

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.policy.dialogue.compiled import Endpoint
from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.rights import EFFECTIVE
from tests.support.findings import findings, only
from tests.support.policies import FRONTEND, NOW, RELAY, policy

WIDE = RELAY | {"remote_ip_ranges": ["10.0.0.0/24"]}


def until(text: str, day: int = 20) -> dict[str, str]:
    return {"range": text, "expires_at": f"2023-11-{day}T00:00:00Z"}


def test_a_temporary_relay_host_falls_back_to_fewer_rights() -> None:
    assert not findings("expiry-widens", FRONTEND, RELAY | {"remote_ip_ranges": [until("10.0.0.9")]})


def test_a_temporary_hole_in_a_relay_range_would_widen() -> None:
    hole = FRONTEND | {"name": "Hole", "remote_ip_ranges": [until("10.0.0.9")]}
    finding = only("expiry-widens", FRONTEND, WIDE, hole)
    assert finding.connectors == ("Hole", "Anonymous Relay")
    assert finding.ranges == ("10.0.0.9",)
    assert "Accept-Any-Recipient" in finding.detail
    assert not finding.acknowledgeable
    assert not findings("expiry-widens", FRONTEND, WIDE, hole, now=NOW + 30 * 86400)


def test_a_temporary_limit_within_a_relay_range_would_widen() -> None:
    limits = {"allowed_recipient_domains": ["fabrikam.com"]}
    limited = RELAY | {"name": "Limited", "remote_ip_ranges": [until("10.0.0.9")]} | limits
    finding = only("expiry-widens", FRONTEND, WIDE, limited)
    assert finding.ranges == ("10.0.0.9",)
    assert "allowed_recipient_domains" in finding.detail
    assert not findings("expiry-widens", FRONTEND, WIDE | limits, limited)


def test_a_temporary_host_may_not_come_to_log_on_when_it_ends() -> None:
    users = {"auth_mechanism": ["BasicAuth"], "permission_groups": ["ExchangeUsers", "AnonymousUsers"]}
    hole = FRONTEND | {"name": "Hole", "remote_ip_ranges": [until("10.0.0.9")]}
    finding = only("expiry-widens", FRONTEND | users, hole)
    assert "Accept-Any-Recipient as NT AUTHORITY\\Authenticated Users" in finding.detail


def test_where_a_lasting_range_lies_between_nothing_widens() -> None:
    hole = FRONTEND | {"name": "Hole", "remote_ip_ranges": [until("10.0.0.9"), "10.0.0.8/29"]}
    assert not findings("expiry-widens", FRONTEND, WIDE, hole)


def test_the_second_expiry_counts_as_the_first() -> None:
    hole = FRONTEND | {"name": "Hole", "remote_ip_ranges": [until("10.0.0.9", 18)]}
    larger = FRONTEND | {"name": "Larger", "remote_ip_ranges": [until("10.0.0.8/30", 19)]}
    finding = only("expiry-widens", FRONTEND, WIDE, hole, larger)
    assert finding.connectors == ("Larger", "Anonymous Relay")
    assert finding.ranges == ("10.0.0.8/30",)


DAYS = st.sampled_from([None, 16, 17, 18])


@st.composite
def connectors(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Nested ranges: the n-th connector holds addresses below a limit that shrinks, so that no two clash."""
    listed = []
    top = 16
    for at in range(draw(st.integers(1, 4))):
        top = draw(st.integers(1, top))
        text = f"192.0.2.1-192.0.2.{top + 10 - at}"
        day = draw(DAYS)
        base = draw(st.sampled_from([FRONTEND, RELAY]))
        listed.append(
            base | {"name": f"c{at}", "remote_ip_ranges": [text if day is None else until(text, day)]}
        )
    return listed


@settings(max_examples=60, deadline=None)
@given(connectors())
def test_it_is_found_exactly_when_some_address_gains_at_some_time(listed: list[dict[str, Any]]) -> None:
    days = [NOW, *(1700006400 + day * 86400 for day in range(5))]
    policies = [policy(*listed, now=at) for at in days]
    local = Endpoint(parse_address("0.0.0.0"), 25)
    gains = False
    for last in range(1, 28):
        held: list[frozenset[Any]] = []
        for compiled in policies:
            match = compiled.select(local, parse_address(f"192.0.2.{last}"))
            door = compiled.connectors[match.connector] if match else None
            held.append(door.rights(door.first_principal) & EFFECTIVE if door else frozenset())
        gains = gains or any(not after <= before for before, after in pairwise(held))
    assert bool(findings("expiry-widens", *listed)) == gains
