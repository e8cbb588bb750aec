"""Explaining over HTTP what the article tries with telnet."""

from typing import Any

import pytest

from gatepost.wire import Condition, Health, Running
from tests.support.control_plane import DOCUMENT, World
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio
QUESTION = {"server": "mx1", "mail_from": "chris@contoso.com", "rcpt_to": "kate@fabrikam.com"}


async def ask(world: World, **question: Any) -> dict[str, Any]:
    answer = await world.viewer.post("/v1/explain", json=QUESTION | question)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_listed_host_relays_and_another_does_not(world: World) -> None:
    await world.enroll("mx1")
    await world.put_draft(DOCUMENT)
    listed = await ask(world, remote="192.168.5.10", of="draft")
    assert listed["reply"].startswith("250 2.1.5")
    assert (listed["connector"], listed["range"]) == ("Anonymous Relay", "192.168.5.10")
    other = await ask(world, remote="192.168.5.99", of="draft")
    assert other["reply"].startswith("550 5.7.1")
    assert other["connector"] == "Default Frontend"


async def test_a_blocked_client_is_explained_as_blocked(world: World) -> None:
    await world.enroll("mx1")
    await world.put_draft(DOCUMENT)
    await world.operator.post("/v1/denied-set", json={"range": "192.168.5.10"})
    blocked = await ask(world, remote="192.168.5.10", of="draft")
    assert blocked["verdict"] != "accepted"


async def test_an_unknown_server_and_an_unpublished_fleet_are_named(world: World) -> None:
    unknown = await world.viewer.post("/v1/explain", json=QUESTION | {"remote": "10.1.1.1"})
    assert unknown.status_code == 404
    assert "mx1" in unknown.json()["detail"]
    await world.enroll("mx1")
    unpublished = await world.viewer.post("/v1/explain", json=QUESTION | {"remote": "10.1.1.1"})
    assert unpublished.status_code == 404
    assert "draft" in unpublished.json()["detail"]


async def caveats(world: World, **question: Any) -> list[str]:
    told: list[str] = (await ask(world, remote="192.168.5.10", **question))["caveats"]
    return told


async def test_what_is_published_has_no_caveat_on_a_server_that_runs_it(world: World) -> None:
    agent = await world.enroll("mx1", labels={"site": "fra"})
    assert (await world.publish(DOCUMENT)).status_code == 201
    await agent.checkin()
    await agent.checkin()
    assert await caveats(world) == []


async def test_a_server_that_runs_something_else_is_told_about(world: World) -> None:
    agent = await world.enroll("mx1")
    assert (await world.publish(DOCUMENT)).status_code == 201
    assert await caveats(world) == ["mx1 runs nothing, not the published 1 (pending)"]
    await agent.checkin()
    await agent.checkin()
    agent.outcome = "rejected"
    assert (await world.publish(DOCUMENT.replace("192.168.5.10, ", ""))).status_code == 201
    await agent.checkin()
    await agent.checkin()
    assert await caveats(world) == ["mx1 runs revision 1, not the published 2 (rejected)"]
    assert await caveats(world, of="draft") == []


async def test_an_adopted_revision_of_another_history_is_told_about(world: World) -> None:
    agent = await world.enroll("mx1")
    assert (await world.publish(DOCUMENT)).status_code == 201
    agent.running = Running(generation=9, revision=1, digest="sha256:" + "a" * 64)
    await agent.checkin()
    assert await caveats(world) == ["mx1 runs another form of revision 1 than the published one (held)"]
    path = f"/v1/servers/{agent.server_id}:adopt"
    assert (await world.admin.post(path, json={})).status_code == 200
    assert await caveats(world) == ["mx1 runs another form of revision 1 than the published one"]


async def test_a_server_that_is_gone_or_denies_more_is_told_about(world: World) -> None:
    agent = await world.enroll("mx1")
    assert (await world.publish(DOCUMENT)).status_code == 201
    await agent.checkin()
    here = Condition(type="DeniedHere", status="True")
    not_shut = Condition(type="RelayKeptShut", status="False")
    report = agent.report(denied_version=1_000, health=Health(status="ok", conditions=(here, not_shut)))
    content = report.model_dump_json()
    said = await agent.client.post(
        "/agent/v1/goodbye", content=content, headers={"Content-Type": "application/json"}
    )
    assert said.status_code == 204, said.text

    async def is_offline() -> bool:
        return not (await world.server(agent))["online"]

    offline: bool = await eventually(is_offline)
    assert offline
    assert await caveats(world) == [
        "mx1 is offline",
        "mx1 denies clients on this host alone (DeniedHere)",
        "mx1 denies more than the control plane knows (DeniedSetAhead)",
    ]
    await world.admin.post(f"/v1/servers/{agent.server_id}:retire", json={})
    assert "mx1 is retired" in await caveats(world, server=agent.server_id)
