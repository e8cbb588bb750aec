"""Check-ins as a conversation: outcomes, holds, identities, tokens, the end."""

import asyncio
from typing import Any

import pytest

from gatepost.signing import Signed, parse_public_key, verify
from gatepost.wire import Attempt, AttemptError, CounterSet, DeviceRow, Facts, Health, Keyring, Running
from tests.support.control_plane import DOCUMENT, World

pytestmark = pytest.mark.anyio


async def act(world: World, server_id: str, verb: str) -> Any:
    return await world.admin.post(f"/v1/servers/{server_id}:{verb}", json={"reason": "test"})


async def test_a_rejected_generation_is_never_offered_again_and_a_retry_is_a_new_one(world: World) -> None:
    agent = await world.enroll("mx1")
    await world.publish(DOCUMENT)
    agent.outcome = "rejected"
    await agent.checkin()
    agent.attempt = agent.attempt and agent.attempt.model_copy(
        update={"phase": "bind", "errors": (AttemptError(type="port", detail="port 25 is taken"),)}
    )
    for _ in range(3):
        assert (await agent.checkin()).offer is None
    shown = await world.server(agent)
    assert (shown["assignment"]["state"], shown["assignment"]["reason"]) == ("rejected", "port 25 is taken")
    assert shown["running"] is None
    assert shown["last_attempt"]["phase"] == "bind"

    agent.outcome = "applied"
    assert (await act(world, agent.server_id, "retry")).status_code == 200
    assert (await agent.checkin()).offer is not None
    await agent.checkin()
    assert [offer.generation for offer in agent.offers] == [1, 2]
    assert (await world.server(agent))["assignment"]["state"] == "settled"
    attempts = (await world.viewer.get(f"/v1/servers/{agent.server_id}/attempts")).json()
    assert [(row["generation"], row["outcome"]) for row in attempts] == [(2, "applied"), (1, "rejected")]


async def strange(world: World) -> Any:
    """An agent of a control plane that was restored from a backup: it is ahead of us."""
    agent = await world.enroll("mx1")
    await world.publish(DOCUMENT)
    await agent.checkin()
    digest = "sha256:" + "e" * 64
    agent.running = Running(generation=40, revision=30, digest=digest, settled=True)
    agent.attempt = Attempt(generation=40, digest=digest, outcome="applied")
    reply = await agent.checkin()
    assert reply.offer is None
    reply = await agent.checkin()
    assert "adopt" in reply.held
    await world.publish(DOCUMENT.replace("192.168.5.11, ", ""))
    assert (await agent.checkin()).offer is None
    assert (await world.server(agent))["assignment"]["state"] == "held"
    return agent


async def test_a_generation_not_issued_here_is_held_until_overwrite(world: World) -> None:
    agent = await strange(world)
    assert (await act(world, agent.server_id, "overwrite")).status_code == 200
    assert (await agent.checkin()).offer is not None
    assert agent.offers[-1].generation == 41
    await agent.checkin()
    assert (await world.server(agent))["assignment"]["state"] == "settled"


async def test_a_generation_not_issued_here_is_held_until_adopt(world: World) -> None:
    agent = await strange(world)
    assert (await act(world, agent.server_id, "adopt")).status_code == 200
    assert (await agent.checkin()).offer is None
    shown = await world.server(agent)
    assert (shown["assignment"]["state"], shown["assignment"]["generation"]) == ("settled", 40)
    assert shown["assignment"]["digest"] == shown["running"]["digest"]


async def test_of_two_hosts_with_one_identity_the_later_is_turned_away_and_told_about(world: World) -> None:
    agent = await world.enroll("mx1")
    await agent.checkin()
    twin = agent.report(incarnation="incarnation-2", seq=1)
    assert (await agent.send(twin)).status_code == 200
    await agent.checkin()
    refused = await agent.send(twin)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/duplicate-identity")
    await agent.checkin()
    health = (await world.server(agent))["health"]
    assert "DuplicateIdentity" in [one["type"] for one in health["conditions"]]
    assert health["status"] == "degraded"


async def test_retired_and_banned_hosts_are_told_apart(world: World) -> None:
    retired, banned = await world.enroll("mx1"), await world.enroll("mx2")
    assert (await act(world, retired.server_id, "retire")).status_code == 200
    assert (await act(world, banned.server_id, "ban")).status_code == 200
    assert (await retired.send(retired.report())).status_code == 410
    refused = await banned.send(banned.report())
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/banned")
    await world.enroll("mx1")  # the name is free again
    made = (await world.admin.post("/v1/enrollment-tokens", json={})).json()
    assert (await banned.enroll(made["token"])).status_code == 403
    assert (await world.admin.post("/v1/enrollment-tokens", json={"name": "mx2"})).status_code == 409


async def test_rotation_keeps_the_old_token_until_the_new_one_is_used(world: World) -> None:
    agent = await world.enroll("mx1")
    await agent.checkin()
    old = agent.client.headers["Authorization"]
    new = (await agent.client.post("/agent/v1/token:rotate", json={})).json()["agent_token"]
    await agent.checkin()
    agent.client.headers["Authorization"] = f"Bearer {new}"
    await agent.checkin()
    agent.client.headers["Authorization"] = old
    assert (await agent.send(agent.report())).status_code == 401


async def test_goodbye_is_offline_at_once(world: World) -> None:
    agent = await world.enroll("mx1")
    await agent.checkin()
    assert (await world.server(agent))["online"] is True
    body = agent.report().model_dump_json()
    headers = {"Content-Type": "application/json"}
    assert (await agent.client.post("/agent/v1/goodbye", content=body, headers=headers)).status_code == 204

    async def shown() -> dict[str, Any]:
        return await world.server(agent)

    deadline = asyncio.get_running_loop().time() + 10
    while (await shown())["online"]:
        assert asyncio.get_running_loop().time() < deadline
        await world.app.state.fleet.news(world.app.state.fleet.edition, 0.05)


async def test_a_bundle_is_for_those_it_is_offered_to(world: World) -> None:
    one = await world.enroll("mx1", labels={"site": "fra"})
    two = await world.enroll("mx2")
    await world.publish(
        DOCUMENT.replace("name: Anonymous Relay", "name: Anonymous Relay\n    servers: [site=fra]")
    )
    await one.checkin()
    await two.checkin()
    digests = [one.offers[-1].digest, two.offers[-1].digest]
    assert digests[0] != digests[1]
    own = await one.client.get(f"/agent/v1/bundles/{digests[0]}")
    assert own.headers["etag"] == f'"{digests[0]}"'
    assert (await one.client.get(f"/agent/v1/bundles/{digests[1]}")).status_code == 404


async def test_the_key_ring_is_signed_by_the_pinned_key(world: World) -> None:
    agent = await world.enroll("mx1")
    signed = Signed.model_validate_json((await agent.client.get("/agent/v1/keyring")).content)
    ring = Keyring.model_validate_json(verify(signed, "keyring", agent.keys))
    assert [parse_public_key(key) for key in ring.keys] == list(agent.keys)


async def test_counts_are_never_doubled_nor_lost(world: World) -> None:
    agent = await world.enroll("mx1")
    sets = (
        CounterSet(incarnation="incarnation-0", totals={"Relay": {"accepted": 5}}, closed=True),
        CounterSet(incarnation="incarnation-1", totals={"Relay": {"accepted": 2, "refused": 1}}),
    )
    for _ in range(3):
        await agent.checkin(counters=sets)
    late = (CounterSet(incarnation="incarnation-1", totals={"Relay": {"accepted": 1}}),)
    await agent.checkin(counters=late)
    counts = (await world.viewer.get("/v1/counts", params={"server": "mx1"})).json()
    assert counts["totals"] == {"accepted": 7, "refused": 1}
    assert (await world.viewer.get("/v1/counts", params={"server": "mx9"})).json()["totals"] == {}


async def test_devices_and_health_and_facts_are_shown_as_reported(world: World) -> None:
    agent = await world.enroll("mx1")
    device = DeviceRow(address="10.1.1.9", connector="Relay", accepted=4, helo="printer", last_seen_age_s=60)
    health = Health.model_validate(
        {"status": "degraded", "conditions": [{"type": "ClockSkew", "status": "True", "reason": "Fast"}]}
    )
    agent.health = health
    await agent.checkin(devices=(device,), facts=Facts(version="1.0", hostname="h"), facts_digest="sha256:f")
    shown = await world.server(agent)
    assert (shown["health"]["status"], shown["facts"]["hostname"]) == ("degraded", "h")
    assert shown["health"]["conditions"][0]["type"] == "ClockSkew"
    rows = (await world.viewer.get("/v1/devices", params={"address": "10.1.1.9"})).json()["items"]
    assert (rows[0]["server"], rows[0]["accepted"], rows[0]["helo"]) == ("mx1", 4, "printer")


async def test_one_report_that_cannot_be_stored_does_not_hold_up_the_others(world: World) -> None:
    good, bad = await world.enroll("mx1"), await world.enroll("mx2")
    await good.checkin()
    poison = bad.report(incarnation="a NUL \x00 in it")  # PostgreSQL keeps no such text
    answers = await asyncio.gather(good.send(good.report(queue={"waiting": 1.0})), bad.send(poison))
    assert answers[0].status_code == 200
    assert answers[1].status_code in {200, 503}
    assert (await world.server(good))["health"]["queue"] == {"waiting": 1.0}


async def test_prefer_wait_on_a_server_and_a_rollout_ends_when_it_runs(world: World) -> None:
    agent = await world.enroll("mx1")
    await world.publish(DOCUMENT)
    wait = {"Prefer": "wait=20"}
    server = asyncio.create_task(world.viewer.get(f"/v1/servers/{agent.server_id}", headers=wait))
    rollout = asyncio.create_task(world.viewer.get("/v1/rollouts/1", headers=wait))
    await agent.checkin()
    await agent.checkin()
    shown = await asyncio.wait_for(server, 10)
    assert shown.headers["preference-applied"] == "wait=20"
    assert shown.json()["assignment"]["state"] == "settled"
    found = (await asyncio.wait_for(rollout, 10)).json()
    assert (found["state"], found["servers"]) == ("succeeded", {"settled": 1})
    await world.publish(DOCUMENT.replace("192.168.5.11, ", ""))
    listed = (await world.viewer.get("/v1/rollouts")).json()["items"]
    assert [row["state"] for row in listed] == ["progressing", "superseded"]


async def test_what_another_process_published_is_noticed(world: World) -> None:
    agent = await world.enroll("mx1")
    fleet = world.app.state.fleet
    known, known_v = dict(fleet.desired), fleet.v
    await world.publish(DOCUMENT)
    fleet.desired, fleet.v = known, known_v  # as a process that did not publish itself
    parked = asyncio.create_task(agent.checkin(wait_s=20))
    assert (await asyncio.wait_for(parked, 15)).offer is not None
