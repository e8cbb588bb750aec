"""A document on its servers: who runs the same, compiled once."""

from gatepost.policy.dialogue.rules.auth import verifier
from gatepost.policy.model.bundle import RelayUser, Server, canonical_bytes, digest, render
from tests.support.findings import MX1, side
from tests.support.policies import FRONTEND, NOW, RELAY

TEST = {
    "name": "t",
    "server": "mx2",
    "remote": "192.168.5.10",
    "lines": ["EHLO x"],
    "expect": "250-mx2.contoso.com",
}
FLEET = [
    Server("mx1", fqdn="mx1.contoso.com"),
    Server("mx2", fqdn="mx2.contoso.com"),
    Server("mx3", labels={"site": "fra"}),
]


def test_servers_of_equal_content_are_one_group() -> None:
    found = side(FRONTEND, RELAY | {"servers": ["site=fra"]}, servers=FLEET)
    assert [group.names for group in found.groups] == [("mx1", "mx2"), ("mx3",)]
    assert found.group("mx1") is found.group("mx2")
    assert found.group("mx9") is None


def test_a_named_address_tells_servers_apart_only_where_it_is_bound() -> None:
    servers = [MX1, Server("mx2", addresses={"internal": "10.1.1.2"})]
    assert len(side(FRONTEND, servers=servers).groups) == 1
    bound = side(FRONTEND | {"bindings": ["{internal}:25"]}, servers=servers)
    assert [group.listeners for group in bound.groups] == [{"10.1.1.1:25"}, {"10.1.1.2:25"}]


def test_a_digest_is_that_of_the_bundle_which_is_offered() -> None:
    users = [RelayUser(name="scanner", verifier=verifier(b"s" * 16, b"x"))]
    asks = FRONTEND | {"auth_mechanism": ["BasicAuth"]}
    found = side(asks, servers=FLEET, users=users, tests=[TEST])
    for server in FLEET:
        assert found.digest(server.name) == digest(canonical_bytes(render(found.document, server, users)))
    assert found.digest("mx1") == found.digest("mx3") != found.digest("mx2")


def test_tests_run_under_the_servers_own_name() -> None:
    found = side(
        servers=FLEET,
        tests=[TEST, TEST | {"name": "other", "server": "mx1"}, TEST | {"name": "x", "server": "y"}],
    )
    assert [result.passed for result in found.test_results["mx2"]] == [True]
    assert [result.passed for result in found.test_results["mx1"]] == [False]
    assert found.test_results.keys() == {"mx1", "mx2"}
    assert found.policy("mx3") is not None
    assert found.policy("mx1") is not found.policy("mx2")


def test_what_cannot_be_compiled_says_why_and_exposes_nobody() -> None:
    found = side(RELAY, RELAY | {"name": "Other"}, tests=[TEST | {"server": "mx1"}])
    (group,) = found.groups
    assert group.policy is None
    assert "'Other'" in group.problems[0]
    assert group.exposure.relay.empty
    assert group.listeners == frozenset()
    assert found.policy("mx1") is None
    assert found.test_results == {}


def test_relaying_connectors_and_their_ranges() -> None:
    found = side()
    (group,) = found.groups
    assert [connector.name for connector in found.relaying(group)] == ["Anonymous Relay"]
    assert found.ranges(found.document.connectors[1]).size(4) == 2 + 256 + 16
    assert found.ranges(found.document.connectors[1]) is found.ranges(found.document.connectors[1])
    assert found.now == NOW
