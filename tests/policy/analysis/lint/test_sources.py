"""Addresses that stand for more than the host they look like, and hosts nobody slows down."""

from gatepost.policy.analysis.findings import Severity
from tests.support.findings import findings, only
from tests.support.policies import FRONTEND, RELAY


def relay(*ranges: object, **changed: object) -> dict[str, object]:
    return RELAY | {"remote_ip_ranges": list(ranges)} | changed


def test_loopback() -> None:
    finding = only("relay-loopback", relay("127.0.0.1", "::1", "10.0.0.5"))
    assert finding.ranges == ("127.0.0.1", "::1")
    assert finding.severity is Severity.WARNING
    assert not findings("relay-loopback", FRONTEND)


def test_a_servers_own_address() -> None:
    assert only("relay-own-address", relay("10.1.1.0/24")).ranges == ("10.1.1.1",)
    assert not findings("relay-own-address", relay("10.1.2.0/24"))


def test_what_looks_like_a_router() -> None:
    finding = only(
        "relay-gateway", relay("10.0.0.1", "10.0.7.250-10.0.7.255", "10.0.9.5", "10.0.10.250-10.0.11.5")
    )
    assert finding.ranges == ("10.0.0.1", "10.0.7.254", "10.0.10.254", "10.0.11.1")
    assert not findings("relay-gateway", relay("10.20.0.0/24", "10.0.0.2", "fd00::1"))


def test_what_a_note_calls_a_load_balancer() -> None:
    noted = [
        {"range": "10.0.0.9", "note": "LB in front of scan servers"},
        {"range": "10.0.0.8", "note": "album server"},
    ]
    assert only("relay-load-balancer", relay(*noted)).ranges == ("10.0.0.9",)


def test_no_rate_on_a_relay_connector() -> None:
    assert only("relay-without-rate", relay("10.0.0.9", message_rate_limit="unlimited")).connectors == (
        "Anonymous Relay",
    )
    assert findings("relay-without-rate", relay("10.0.0.9", message_rate_source="User"))
    assert not findings("relay-without-rate", relay("10.0.0.9"))
    assert not findings("relay-without-rate", FRONTEND)


def test_only_ipv4_ranges_where_ipv6_hosts_come_too() -> None:
    both = {"bindings": ["0.0.0.0:25", "[::]:25"]}
    finding = only(
        "relay-only-v4",
        FRONTEND | both | {"remote_ip_ranges": ["0.0.0.0/0", "::/0"]},
        relay("10.0.0.9", **both),
    )
    assert finding.connectors == ("Anonymous Relay",)
    assert not findings("relay-only-v4", relay("10.0.0.9", "fd00::9", **both))
    assert not findings("relay-only-v4", relay("10.0.0.9"))
