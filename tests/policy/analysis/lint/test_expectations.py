"""The document's own tests and assertions, as findings."""

from tests.support.findings import findings, only

REFUSED = {
    "name": "anyone else is refused",
    "server": "mx1",
    "remote": "192.168.5.99",
    "mail_from": "a@contoso.com",
    "rcpt_to": "b@fabrikam.com",
    "expect": "550 5.7.1",
}


def test_a_failed_test() -> None:
    assert not findings("test-failed", tests=[REFUSED])
    finding = only("test-failed", tests=[REFUSED, REFUSED | {"name": "wrong", "expect": "250"}])
    assert finding.pointer == "/tests/1"
    assert "expects '250' and got '550 5.7.1 Unable to relay'" in finding.detail
    assert finding.connectors == ("Default Frontend",)
    assert finding.servers == ("mx1",)
    assert finding.broken
    assert not finding.acknowledgeable


def test_a_test_for_a_server_that_there_is_not() -> None:
    assert only("test-without-server", tests=[REFUSED | {"server": "mx9"}]).pointer == "/tests/0/server"


def test_an_assertion_says_who_may_relay_at_most() -> None:
    holds = {"name": "offices", "relay_only_from": ["192.168.0.0/16", "10.0.0.0/8"]}
    assert not findings("assertion-failed", assertions=[holds])
    finding = only(
        "assertion-failed", assertions=[holds, {"name": "few", "relay_only_from": ["192.168.5.0/24"]}]
    )
    assert finding.pointer == "/assertions/1"
    assert finding.ranges == ("10.20.0.0/24", "10.30.0.5-10.30.0.20")
    assert finding.connectors == ("Anonymous Relay",)
    assert not finding.acknowledgeable
    elsewhere = {"name": "few", "relay_only_from": [], "servers": ["mx9"]}
    assert not findings("assertion-failed", assertions=[elsewhere])
