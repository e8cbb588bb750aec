"""Settings that do less than they seem to."""

from gatepost.policy.analysis.findings import Severity
from tests.support.findings import findings, only
from tests.support.policies import FRONTEND, RELAY

DENY_OWN = {
    "principal": "anonymous logon",
    "rights": ["ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"],
    "deny": True,
}


def test_a_default_connector_where_everybody_may_send_as_us() -> None:
    finding = only("default-takes-own-senders")
    assert (finding.connectors, finding.severity) == (("Default Frontend",), Severity.WARNING)
    assert not findings("default-takes-own-senders", FRONTEND | {"permissions": [DENY_OWN]})
    assert not findings("default-takes-own-senders", accepted_domains=[])
    assert not findings("default-takes-own-senders", RELAY)


def test_tls_without_a_certificate() -> None:
    assert len(findings("tls-without-certificate")) == 2
    assert not findings("tls-without-certificate", FRONTEND | {"tls_certificate_name": "mx1"})
    assert not findings("tls-without-certificate", FRONTEND | {"auth_mechanism": []})


def test_rights_with_no_effect_here() -> None:
    idle = {"principal": "anonymous logon", "rights": ["ms-Exch-Bypass-Anti-Spam", "ms-Exch-SMTP-Submit"]}
    finding = only("right-without-effect", RELAY | {"permissions": [idle]})
    assert finding.pointer == "/connectors/0/permissions/0"
    assert "ms-Exch-Bypass-Anti-Spam of" in finding.detail
    assert "Submit" not in finding.detail
    nobody = {"principal": "partner servers", "rights": ["ms-Exch-SMTP-Submit"]}
    assert findings("right-without-effect", RELAY | {"permissions": [nobody]})
    assert not findings("right-without-effect")


def test_a_range_that_stands_twice() -> None:
    finding = only(
        "duplicate-range", RELAY | {"remote_ip_ranges": ["10.0.0.0/24", "10.0.0.0-10.0.0.255", "10.0.0.1"]}
    )
    assert "10.0.0.0/24 and 10.0.0.0-10.0.0.255" in finding.detail


def test_a_connector_that_takes_nobody() -> None:
    assert only("no-ranges", FRONTEND, RELAY | {"remote_ip_ranges": []}).connectors == ("Anonymous Relay",)
    assert not findings("no-ranges", RELAY | {"remote_ip_ranges": [], "enabled": False})
