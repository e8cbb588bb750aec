"""Connectors in each other's way."""

from gatepost.policy.model.bundle import Server
from tests.support.findings import findings, only
from tests.support.policies import FRONTEND, RELAY

OTHER = RELAY | {"name": "Other"}


def test_partial_overlap_is_refused_with_both_named() -> None:
    one = RELAY | {"remote_ip_ranges": ["10.0.0.0-10.0.0.20"]}
    two = OTHER | {"remote_ip_ranges": ["10.0.0.10-10.0.0.30"]}
    finding = only("range-conflict", FRONTEND, one, two)
    assert set(finding.connectors) == {"Anonymous Relay", "Other"}
    assert "10.0.0.0-10.0.0.20" in finding.detail
    assert "10.0.0.10-10.0.0.30" in finding.detail
    assert "0.0.0.0:25" in finding.detail
    assert not finding.acknowledgeable
    assert finding.broken


def test_equal_ranges_are_refused_however_they_are_written() -> None:
    one, two = (
        RELAY | {"remote_ip_ranges": ["10.0.0.0/24"]},
        OTHER | {"remote_ip_ranges": ["10.0.0.0-10.0.0.255"]},
    )
    assert findings("range-conflict", one, two)


def test_other_servers_ports_and_addresses_are_no_conflict() -> None:
    assert findings("range-conflict", RELAY, OTHER)
    assert not findings("range-conflict", RELAY, OTHER | {"bindings": ["0.0.0.0:26"]})
    assert not findings("range-conflict", RELAY, OTHER | {"bindings": ["{internal}:25"]})
    servers = [Server("mx1"), Server("mx2")]
    assert not findings(
        "range-conflict", RELAY | {"servers": ["mx1"]}, OTHER | {"servers": ["mx2"]}, servers=servers
    )


def test_a_conflict_is_told_once_for_all_servers_that_have_it() -> None:
    servers = [
        Server("mx1"),
        Server("mx2", addresses={"internal": "10.1.1.2"}),
        Server("mx3", labels={"site": "x"}),
    ]
    for finding in findings("range-conflict", RELAY, OTHER, servers=servers):
        assert finding.servers == ("mx1", "mx2", "mx3")


def test_two_transport_roles_on_one_address_and_port() -> None:
    hub = OTHER | {"transport_role": "HubTransport", "remote_ip_ranges": ["10.99.0.1"]}
    finding = only("role-conflict", RELAY, hub)
    assert finding.connectors == ("Anonymous Relay", "Other")
    assert not findings("role-conflict", RELAY, hub | {"bindings": ["0.0.0.0:2525"]})


def test_a_named_address_that_a_server_does_not_have() -> None:
    bound = RELAY | {"bindings": ["{dmz}:25"]}
    finding = only("unknown-address", FRONTEND, bound)
    assert "{dmz}" in finding.detail
    assert finding.servers == ("mx1",)
    assert finding.broken
    assert not findings("unknown-address", RELAY | {"bindings": ["{internal}:25"]})


def test_a_specific_binding_hides_the_wildcard_ones() -> None:
    finding = only("hidden-by-specific-binding", FRONTEND, RELAY | {"bindings": ["10.1.1.1:25"]})
    assert finding.connectors == ("Anonymous Relay", "Default Frontend")
    both = RELAY | {"bindings": ["10.1.1.1:25", "0.0.0.0:25"]}
    assert findings("hidden-by-specific-binding", FRONTEND, both)
    assert not findings("hidden-by-specific-binding", FRONTEND, RELAY | {"bindings": ["10.1.1.1:587"]})
