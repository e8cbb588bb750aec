"""Servers, and what lets them in, against the real control plane."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.wire import Condition, CounterSet, Health, Running
from gatepost_api.auth import Role
from tests.cli.conftest import RELAY, Gatepost, Plane
from tests.support.control_plane import DOCUMENT
from tests.support.waiting import wait_until

Fleet = Callable[[str], Path]


def test_a_server_is_listed_and_shown(gatepost: Gatepost, plane: Plane) -> None:
    agent = plane.enroll("mx1", labels={"site": "fra"}, addresses={"internal": "10.1.1.1"})
    agent.health = Health(
        status="degraded",
        conditions=(Condition(type="ListenersReady", status="False", reason="BindFailed", message="in use"),),
    )
    plane.do(agent.checkin())
    assert "site=fra" in gatepost("servers").out
    shown = gatepost("servers", "show", "mx1")
    assert shown.code == 0
    assert "internal=10.1.1.1" in shown.out
    assert "BindFailed" in shown.out
    assert gatepost("servers", "show", "MX1", "-o", "json").json["attempts"] == []


def test_servers_are_filtered(gatepost: Gatepost, plane: Plane) -> None:
    for name in ("mx1", "mx2"):
        plane.enroll(name)
    gatepost("servers", "retire", "mx2", "--reason", "gone")
    names = [row["name"] for row in gatepost("servers", "--state", "active", "-o", "json").json]
    assert names == ["mx1"]
    assert gatepost("servers", "list", "--config", "rejected", "-o", "json").json == []
    assert gatepost("servers", "--state", "asleep").code == 10


def test_labels_and_addresses_are_set_and_removed(gatepost: Gatepost, plane: Plane) -> None:
    plane.enroll("mx1", labels={"site": "fra", "rack": "7"})
    ran = gatepost("servers", "label", "mx1", "site=ber", "rack-", "-o", "json")
    assert (ran.code, ran.json["labels"]) == (0, {"site": "ber"})
    ran = gatepost("servers", "address", "mx1", "internal=10.1.1.1", "-o", "json")
    assert (ran.code, ran.json["addresses"]) == (0, {"internal": "10.1.1.1"})
    assert "next publish" in ran.err
    assert gatepost("servers", "address", "mx1", "internal=224.0.0.1").code == 10
    assert gatepost("servers", "label", "mx1", "site").code == 64


def test_the_name_to_say_hello_with_is_set(gatepost: Gatepost, plane: Plane) -> None:
    plane.enroll("mx1")
    ran = gatepost("servers", "fqdn", "mx1", "mx1.contoso.com", "-o", "json")
    assert (ran.code, ran.json["fqdn"]) == (0, "mx1.contoso.com")


def test_what_was_rejected_is_retried(gatepost: Gatepost, plane: Plane, fleet_file: Fleet) -> None:
    agent = plane.enroll("mx1")
    agent.outcome = "rejected"
    plane.following(agent)
    assert gatepost("apply", "-f", fleet_file(DOCUMENT), "--wait").code == 14
    agent.outcome = "applied"
    ran = gatepost("servers", "retry", "mx1", "--reason", "port is free now", "-o", "json")
    assert (ran.code, ran.json["assignment"]["generation"]) == (0, 2)
    assert gatepost("wait", "--timeout", "20s").code == 0
    again = gatepost("servers", "retry", "mx1", "-o", "json")
    assert (again.code, again.json["error"]["type"]) == (12, "conflict")


@pytest.mark.parametrize("verb", ["adopt", "overwrite"])
def test_a_server_from_another_life_is_held_until_somebody_chooses(
    gatepost: Gatepost, plane: Plane, fleet_file: Fleet, verb: str
) -> None:
    agent = plane.enroll("mx1")
    gatepost("apply", "-f", fleet_file(DOCUMENT))
    agent.running = Running(generation=70, revision=9, digest="sha256:" + "d" * 64)
    plane.do(agent.checkin())
    wait_until(lambda: gatepost("servers", "--config", "held", "-o", "json").json)
    held = gatepost("wait", "--timeout", "5s", "-o", "json")
    assert (held.code, held.json["wait"]["failures"][0]["state"]) == (14, "held")
    ran = gatepost("servers", verb, "mx1", "--reason", "restored from backup", "-o", "json")
    assert ran.code == 0, ran
    assert ran.json["assignment"]["generation"] >= 70


def test_retire_frees_the_name_and_ban_does_not(gatepost: Gatepost, plane: Plane) -> None:
    for name, verb, code in (("mx1", "retire", 0), ("mx2", "ban", 12)):
        plane.enroll(name)
        assert gatepost("servers", verb, name).code == 0
        assert gatepost("enrollment-token", "create", "--name", name).code == code


def test_an_operator_may_not_move_servers(gatepost: Gatepost, plane: Plane) -> None:
    plane.enroll("mx1")
    assert gatepost("servers", "ban", "mx1", role=Role.operator).code == 13


def test_an_enrollment_token_grants_what_it_says(gatepost: Gatepost, plane: Plane) -> None:
    words = ["--name", "mx1", "--label", "site=fra", "--address", "internal=10.1.1.1", "--expires-in", "30m"]
    made = gatepost("enrollment-token", "create", *words, "--uses", "2")
    assert made.code == 0
    assert "Good for 2 use(s), expires in 30 min" in made.err
    [row] = gatepost("enrollment-token", "list", "-o", "json").json
    assert (row["name"], row["labels"], row["uses_left"]) == ("mx1", {"site": "fra"}, 2)
    assert gatepost("enrollment-token", "revoke", row["id"]).code == 0
    assert gatepost("enrollment-token", "list", "-o", "json").json[0]["uses_left"] == 0
    assert gatepost("enrollment-token", "create", "--expires-in", "100d").code == 10


def test_tokens_end_by_name_or_id(gatepost: Gatepost) -> None:
    gatepost("tokens", "create", "--name", "ci", "--role", "operator", "--expires-in", "90d")
    assert "in 90 d" in gatepost("tokens", "list").out
    assert gatepost("tokens", "create", "--name", "ci").code == 12
    assert gatepost("tokens", "revoke", "ci").code == 0
    again = gatepost("tokens", "revoke", "ci", "-o", "json")
    assert (again.code, again.json["error"]["type"]) == (10, "not-found")


def test_relay_users_get_a_secret_once(gatepost: Gatepost) -> None:
    made = gatepost("relay-users", "create", "erp", "--sender", "erp@contoso.com", "--comment", "the ERP")
    assert (made.code, made.out.count("\n")) == (0, 1)
    again = gatepost("relay-users", "rotate-secret", "ERP", "-o", "json")
    assert list(again.json) == ["secret"]
    assert again.json["secret"] != made.out.strip()
    listed = gatepost("relay-users")
    assert "erp@contoso.com" in listed.out
    assert made.out.strip() not in listed.out + made.err
    assert gatepost("relay-users", "senders", "erp", "-o", "json").json["user"]["senders"] == []
    assert gatepost("relay-users", "create", "erp").code == 12
    assert gatepost("relay-users", "list", role=Role.viewer).code == 0
    assert gatepost("relay-users", "delete", "erp", role=Role.operator).code == 13
    assert gatepost("relay-users", "delete", "erp").code == 0
    assert "No relay users" in gatepost("relay-users").err


def test_counts_and_devices_are_shown_by_server_and_connector(gatepost: Gatepost, plane: Plane) -> None:
    for name in ("mx1", "mx2"):
        agent = plane.enroll(name)
        refused = {"refused 550 5.7.1 Unable to relay": 2, "refused 554 5.7.1 No service": 1}
        totals = {RELAY: {"accepted": 5, "delivered": 4, **refused}}
        agent.counters = (CounterSet(incarnation=agent.incarnation, totals=totals),)
        plane.do(agent.checkin())
    rows = [line.split() for line in gatepost("counts").out.splitlines()]
    heading = ["server", "connector", "accepted", "delivered", "bounced", "refused", "refused", "with"]
    assert rows[0] == heading
    with_ = "550 5.7.1 Unable to relay={}, 554 5.7.1 No service={}"
    assert ["mx1", "Anonymous", "Relay", "5", "4", "0", "3", *with_.format(2, 1).split()] in rows
    assert ["all", "all", "10", "8", "0", "6", *with_.format(4, 2).split()] in rows
    assert gatepost("counts", "--server", "mx1", "-o", "json").json["totals"]["accepted"] == 5
    assert "No devices" in gatepost("devices", "--address", "192.168.5.10").err


def test_the_audit_trail_is_filtered_and_exported(gatepost: Gatepost) -> None:
    gatepost("block", "192.168.5.66", "--reason", "first")
    gatepost("block", "192.168.5.67", "--reason", "second")
    rows = gatepost("audit", "--limit", "1", "-o", "json").json
    assert [row["reason"] for row in rows] == ["second"]
    assert gatepost("audit", "--actor", "nobody", "-o", "json").json == []
    assert gatepost("audit", "--since", "yesterday").code == 64
    exported = gatepost("audit", "--jsonl", "--action", rows[0]["action"])
    assert len(exported.out.splitlines()) == 2
    assert len(gatepost("audit", "--jsonl", "--action", rows[0]["action"], "-o", "json").json) == 2


def test_a_revision_and_its_document_are_shown(gatepost: Gatepost, fleet_file: Fleet) -> None:
    gatepost("apply", "-f", fleet_file(DOCUMENT), "-m", "first")
    assert "first" in gatepost("revisions").out
    assert gatepost("revisions", "show", "1", "-o", "json").json["message"] == "first"
    assert gatepost("revisions", "show", "1", "--document").out == gatepost("export").out
    assert gatepost("revisions", "show", "7").code == 10
