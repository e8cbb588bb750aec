"""How much of the world may relay."""

import pytest

from gatepost.policy.analysis.findings import Severity
from gatepost.policy.analysis.lint import lint
from tests.support.findings import findings, only, side
from tests.support.policies import ANONYMOUS_RELAY, FRONTEND, RELAY

SECURED = {
    "auth_mechanism": ["ExternalAuthoritative"],
    "permission_groups": ["ExchangeServers"],
    "permissions": [],
}


def relay(*texts: str, **changed: object) -> dict[str, object]:
    return RELAY | {"remote_ip_ranges": list(texts)} | changed


def test_the_article_is_not_held_up() -> None:
    assert [finding.rule for finding in lint(side()) if finding.severity is Severity.BLOCKING] == []


@pytest.mark.parametrize(
    ("texts", "wide"),
    [
        (["10.0.0.0/16"], False),
        (["10.0.0.0/16", "10.1.0.0"], True),
        (["10.0.0.0/17", "10.200.0.0/17", "10.100.0.1"], True),
        (["fd00::/48"], False),
        (["fd00::/48", "fd01::1"], True),
        (["10.0.0.0/16", "fd00::/48"], False),
    ],
)
def test_relay_over_more_than_a_site_is_wide(texts: list[str], wide: bool) -> None:
    assert bool(findings("relay-wide", FRONTEND, relay(*texts))) == wide


def test_what_is_wide_is_told_over_all_connectors_of_a_server() -> None:
    pieces = [relay(f"10.{at}.0.0/17", name=f"piece {at}", servers=["site=fra"]) for at in range(3)]
    finding = only("relay-wide", FRONTEND, *pieces)
    assert finding.connectors == ("piece 0", "piece 1", "piece 2")
    assert finding.ranges == ("10.0.0.0/17", "10.1.0.0/17", "10.2.0.0/17")
    assert finding.servers == ("mx1",)
    assert finding.pointer == "/connectors/1/remote_ip_ranges"
    assert finding.acknowledgeable


def test_a_hole_does_not_make_it_smaller() -> None:
    hole = FRONTEND | {"name": "Hole", "remote_ip_ranges": ["10.0.0.0/9"]}
    assert findings("relay-wide", FRONTEND, relay("10.0.0.0/8"), hole)


def test_public_addresses_are_told_exactly() -> None:
    finding = only(
        "relay-public", FRONTEND, relay("192.168.0.0/24", "203.0.113.7", "198.51.100.0/30", "10.0.0.1")
    )
    assert finding.ranges == ("198.51.100.0/30", "203.0.113.7")
    assert "5 public addresses" in finding.detail
    assert finding.acknowledgeable
    assert only("relay-public", relay("2001:db8::7")).ranges == ("2001:db8::7",)
    assert not findings("relay-public", relay("192.168.0.0/24", "fd00::7", "100.64.0.0/24", "fe80::/64"))


@pytest.mark.parametrize(
    "texts",
    [
        ["0.0.0.0-255.255.255.255"],
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["1.0.0.0-223.255.255.255"],
        ["::/0"],
        ["2000::/3"],
        ["2000::/5", "2800::/5"],
    ],
)
def test_the_internet_cannot_be_acknowledged_however_it_is_written(texts: list[str]) -> None:
    finding = only("relay-everything", relay(*texts))
    assert not finding.acknowledgeable
    assert not findings("relay-wide", relay(*texts))


def test_every_way_to_relay_without_a_password_counts() -> None:
    assert findings("relay-public", relay("203.0.113.7", **SECURED))
    by_row = {"permission_groups": [], "permissions": [ANONYMOUS_RELAY]}
    assert findings("relay-public", relay("203.0.113.7", **by_row))


def test_what_takes_a_password_or_cannot_be_reached_does_not() -> None:
    users = {"permission_groups": ["ExchangeUsers"], "permissions": [], "auth_mechanism": ["BasicAuth"]}
    assert not findings("relay-public", relay("203.0.113.7", **users))
    # Nobody can be an Exchange server here: nothing speaks Kerberos.
    servers = {"permission_groups": ["ExchangeServers"], "permissions": []}
    assert not findings("relay-public", relay("203.0.113.7", **servers))
    denied = {"permissions": [ANONYMOUS_RELAY, ANONYMOUS_RELAY | {"deny": True}]}
    assert not findings("relay-public", relay("203.0.113.7", **denied))


def test_a_default_connector_may_not_relay_whatever_its_name() -> None:
    named = relay("0.0.0.0-255.255.255.255", name="Office printers")
    finding = only("relay-default", named)
    assert (finding.connectors, finding.acknowledgeable) == (("Office printers",), False)
    assert findings("relay-default", relay("0.0.0.1-255.255.255.255"))
    assert findings("relay-default", relay("10.0.0.1", "::/0"))
    assert not findings("relay-default", FRONTEND)


def test_a_disabled_connector_is_no_danger() -> None:
    assert not findings("relay-public", relay("203.0.113.7", enabled=False))


def test_an_expired_range_is_no_danger() -> None:
    expired = {"range": "203.0.113.7", "expires_at": "2023-11-14T00:00:00Z"}
    assert not findings("relay-public", RELAY | {"remote_ip_ranges": [expired]})


def test_a_connector_for_servers_to_come_is_judged_as_well() -> None:
    halves = [
        relay("0.0.0.0/1", name="low", servers=["site=new"]),
        relay("128.0.0.0/1", name="high", servers=["site=new"]),
    ]
    assert only("relay-everything", FRONTEND, *halves).connectors == ("low", "high")
    assert only("relay-everything", *halves, servers=()).servers == ()
    assert not findings("relay-everything", FRONTEND, *(half | {"enabled": False} for half in halves))


def test_what_was_taken_on_within_limits_is_another_finding_without_them() -> None:
    def ids(**limits: list[str]) -> str:
        return only("relay-public", FRONTEND, relay("203.0.113.7", **limits)).id

    within = ids(allowed_recipient_domains=["fabrikam.com"])
    seen = {
        within,
        ids(),
        ids(allowed_recipient_domains=["fabrikam.com", "litware.com"]),
        ids(allowed_recipient_domains=["fabrikam.com"], allowed_sender_domains=["contoso.com"]),
    }
    assert len(seen) == 4
    assert within == ids(allowed_recipient_domains=["fabrikam.com"])


def test_one_connector_without_limits_is_none_for_all() -> None:
    limited = relay("203.0.113.7", allowed_recipient_domains=["fabrikam.com"])
    other = relay("203.0.113.8", name="Other")
    assert (
        only("relay-public", FRONTEND, limited, other).id
        == only("relay-public", FRONTEND, relay("203.0.113.7"), other).id
    )
