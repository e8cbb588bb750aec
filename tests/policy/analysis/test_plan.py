"""A plan: what publishing would change, and what holds it up."""

from gatepost.policy.analysis.findings import Acknowledgement
from gatepost.policy.analysis.plan import Addresses, Plan, plan
from gatepost.policy.analysis.sides import Side
from gatepost.policy.model.bundle import Server
from gatepost.policy.model.document import FleetDocument
from tests.support.findings import MX1, side
from tests.support.policies import FRONTEND, NOW, RELAY

FLEET = [MX1, Server("mx2", labels={"site": "muc"})]
PUBLIC = RELAY | {"remote_ip_ranges": ["203.0.113.0/28"]}
TEST = {
    "name": "listed printer relays",
    "server": "mx1",
    "remote": "192.168.5.10",
    "mail_from": "a@contoso.com",
    "rcpt_to": "b@fabrikam.com",
    "expect": "250 2.1.5",
}


def planned(old: Side, new: Side, *acknowledgements: Acknowledgement) -> Plan:
    return plan(old, new, acknowledgements=acknowledgements, now=NOW)


def nothing(*servers: Server) -> Side:
    return Side(FleetDocument(), servers or [MX1], now=NOW)


def rules(found: Plan) -> list[str]:
    return [finding.rule for finding in found.holding]


def test_the_first_publish_opens_listeners_and_exposes() -> None:
    found = planned(nothing(), side(tests=[TEST]))
    (server,) = found.servers
    assert (server.opens, server.closes) == (("0.0.0.0:25",), ())
    assert server.digest_before != server.digest_after
    assert [result.passed for result in server.tests] == [True]
    (exposed,) = found.exposure
    assert exposed.added == ("10.20.0.0/24", "10.30.0.5-10.30.0.20", "192.168.5.10/31")
    assert (exposed.before, exposed.after) == (Addresses(v4=0, v6=0), Addresses(v4=274, v6=0))
    assert exposed.added_count == exposed.after
    assert exposed.domains_added == ("contoso.com",)
    assert {change.action for change in found.changes} == {"added"}
    assert found.touched == ("mx1",)
    assert not found.only_narrows
    assert rules(found) == []


def test_an_equal_document_touches_nobody() -> None:
    found = planned(side(), side())
    assert (found.changes, found.widenings, found.touched, found.only_narrows) == ((), (), (), True)
    (exposed,) = found.exposure
    assert (exposed.added, exposed.removed) == ((), ())


def test_the_blast_radius_is_the_servers_whose_bundle_changes() -> None:
    local = RELAY | {"name": "Munich", "servers": ["site=muc"], "remote_ip_ranges": ["10.7.0.1"]}
    found = planned(side(servers=FLEET), side(FRONTEND, RELAY, local, servers=FLEET))
    assert found.touched == ("mx2",)
    assert [(e.servers, e.added) for e in found.exposure] == [(("mx1",), ()), (("mx2",), ("10.7.0.1",))]
    assert [widening.servers for widening in found.widenings] == [("mx2",)]


def test_equal_servers_are_told_once() -> None:
    fleet = [Server(f"mx{at}") for at in range(5)]
    (exposed,) = planned(side(FRONTEND, servers=fleet), side(servers=fleet)).exposure
    assert exposed.servers == ("mx0", "mx1", "mx2", "mx3", "mx4")


def test_a_blocking_finding_holds_up_until_it_is_acknowledged() -> None:
    new = side(FRONTEND, PUBLIC)
    found = planned(side(), new)
    assert rules(found) == ["relay-public"]
    taken_on = Acknowledgement(found.holding[0].id, who="chris", why="rented", until=NOW + 60)
    assert rules(planned(side(), new, taken_on)) == []
    assert [f.rule for f in planned(side(), new, taken_on).findings if f.severity == "blocking"] == [
        "relay-public"
    ]
    assert rules(planned(side(), new, taken_on._replace(until=NOW))) == ["relay-public"]


def test_what_only_narrows_is_not_held_up_by_older_findings() -> None:
    old = side(FRONTEND, PUBLIC)
    narrower = side(FRONTEND, PUBLIC | {"remote_ip_ranges": ["203.0.113.0/29"]})
    found = planned(old, narrower)
    assert found.only_narrows
    assert rules(found) == []
    assert rules(planned(nothing(), narrower)) == ["relay-public"]
    wider = side(FRONTEND, PUBLIC | {"remote_ip_ranges": ["203.0.113.0/29", "10.0.0.5"]})
    assert rules(planned(old, wider)) == ["relay-public"]


def test_what_agents_would_reject_is_held_up_even_if_it_narrows() -> None:
    fewer = RELAY | {"remote_ip_ranges": ["10.20.0.0/24"]}
    found = planned(side(tests=[TEST]), side(FRONTEND, fewer, tests=[TEST]))
    assert found.only_narrows
    assert rules(found) == ["test-failed"]
    assert [result.passed for result in found.servers[0].tests] == [False]


def test_a_server_where_it_cannot_be_compiled_says_why() -> None:
    fleet = [MX1, Server("mx2")]
    bound = RELAY | {"bindings": ["{internal}:25"]}
    found = planned(side(servers=fleet), side(FRONTEND, bound, servers=fleet))
    by_name = {server.server: server for server in found.servers}
    assert by_name["mx1"].problems == ()
    assert by_name["mx1"].opens == ("10.1.1.1:25",)
    assert "'internal'" in by_name["mx2"].problems[0]
    assert by_name["mx2"].digest_after is None
    assert rules(found) == ["unknown-address"]
    assert [exposed.servers for exposed in found.exposure] == [("mx1",)]


def test_a_server_that_leaves_closes() -> None:
    found = planned(side(servers=FLEET), side(servers=FLEET[:1]))
    (_, gone) = found.servers
    assert (gone.server, gone.digest_after, gone.closes) == ("mx2", None, ("0.0.0.0:25",))
    assert found.exposure[1].removed == ("10.20.0.0/24", "10.30.0.5-10.30.0.20", "192.168.5.10/31")
    assert found.touched == ("mx2",)


def test_the_published_side_is_used_again() -> None:
    old = side()
    compiled = old.groups[0].policy
    assert planned(old, side(FRONTEND)).exposure == planned(old, side(FRONTEND)).exposure
    assert old.groups[0].policy is compiled


def test_a_plan_is_plain_values() -> None:
    found = planned(side(), side(FRONTEND, PUBLIC, tests=[TEST | {"expect": "550"}]))
    assert Plan.model_validate(found.model_dump(mode="json")) == found
    assert Plan.model_validate_json(found.model_dump_json()) == found


def test_a_relay_for_servers_to_come_is_held_up_though_nobody_gains_it_yet() -> None:
    opened = RELAY | {"remote_ip_ranges": ["0.0.0.0/0"], "servers": ["site=new"]}
    before, after = side(FRONTEND), side(FRONTEND, opened)
    held = plan(before, after, now=NOW)
    assert not held.only_narrows
    assert "relay-everything" in {finding.rule for finding in held.holding}
    assert plan(after, after, now=NOW).only_narrows


def test_what_cannot_be_compiled_hides_no_other_finding() -> None:
    opened = RELAY | {"remote_ip_ranges": ["0.0.0.0/0"]}
    rules = {finding.rule for finding in plan(side(FRONTEND), side(FRONTEND, opened), now=NOW).holding}
    assert {"range-conflict", "relay-everything"} <= rules


def test_less_to_log_on_with_and_fewer_extensions_are_not_held_up() -> None:
    users = PUBLIC | {"auth_mechanism": ["Tls", "BasicAuth"]}
    fewer = PUBLIC | {"auth_mechanism": ["Tls"], "chunking_enabled": False}
    found = planned(side(FRONTEND, users), side(FRONTEND, fewer))
    assert found.only_narrows
    assert rules(found) == []
    assert "relay-public" in rules(planned(side(FRONTEND, fewer), side(FRONTEND, users)))


def test_a_range_that_lasts_longer_is_held_up() -> None:
    brief, longer = (
        PUBLIC | {"remote_ip_ranges": [{"range": "203.0.113.0/28", "expires_at": f"{year}-01-01T00:00:00Z"}]}
        for year in (2027, 2028)
    )
    found = planned(side(FRONTEND, brief), side(FRONTEND, longer))
    assert not found.only_narrows
    assert rules(found) == ["relay-public"]
    assert planned(side(FRONTEND, longer), side(FRONTEND, brief)).only_narrows


def test_a_laxer_connector_of_another_name_is_held_up() -> None:
    renamed = PUBLIC | {"name": "Relay2", "message_rate_limit": "unlimited"}
    found = planned(side(FRONTEND, PUBLIC), side(FRONTEND, renamed))
    assert not found.only_narrows
    assert rules(found) == ["relay-public"]
