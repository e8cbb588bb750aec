"""Blocks reach agents past everything, and lifting one is an act of its own."""

import asyncio

import pytest

from gatepost.signing import verify
from gatepost.wire import DeniedList
from tests.support.control_plane import World
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio


async def test_a_block_wakes_parked_agents_and_an_unblock_too(world: World) -> None:
    agent = await world.enroll("mx1")
    parked = asyncio.create_task(agent.checkin(wait_s=20))
    await eventually(lambda: world.app.state.parking.is_parked(agent.server_id))
    made = await world.operator.post("/v1/denied-set", json={"range": "10.9.0.0/16", "reason": "infected"})
    assert made.status_code == 201, made.text
    reply = await asyncio.wait_for(parked, 5)
    assert reply.denied is not None
    listed = DeniedList.model_validate_json(verify(reply.denied, "directive", agent.keys))
    assert [(row.range, row.reason) for row in listed.entries] == [("10.9.0.0/16", "infected")]
    assert listed.server_id == agent.server_id
    agent.denied_version = listed.version

    path = f"/v1/denied-set/{made.json()['id']}"
    tag = (await world.viewer.get(path)).headers["etag"]
    gone = await world.operator.delete(path, params={"reason": "cleaned"}, headers={"If-Match": tag})
    assert gone.status_code == 200
    reply = await agent.checkin()
    assert reply.denied is not None
    listed = DeniedList.model_validate_json(verify(reply.denied, "directive", agent.keys))
    assert listed.entries == ()
    assert listed.version > agent.denied_version
    events = (await world.viewer.get("/v1/audit-events", params={"object_kind": "block"})).json()["items"]
    assert [(event["action"], event["reason"]) for event in events] == [
        ("unblock", "cleaned"),
        ("block", "infected"),
    ]


async def test_a_new_process_gives_the_same_list(world: World) -> None:
    await world.operator.post("/v1/denied-set", json={"range": "10.9.0.0/16"})
    agent = await world.enroll("mx2")
    reply = await agent.checkin()
    assert reply.denied is not None


async def test_blocking_twice_is_one_block(world: World) -> None:
    one = await world.operator.post("/v1/denied-set", json={"range": "10.9.9.9"})
    two = await world.operator.post("/v1/denied-set", json={"range": "10.9.9.9"})
    assert one.json()["id"] == two.json()["id"]


async def test_addresses_that_nobody_may_list_can_be_blocked(world: World) -> None:
    for text in ("2002:a01:203::/48", "64:ff9b::a01:203", "::ffff:10.1.2.3"):
        made = await world.operator.post("/v1/denied-set", json={"range": text})
        assert made.status_code == 201, made.text


async def test_after_a_restored_backup_agents_keep_their_blocks_and_take_new_ones(world: World) -> None:
    agent = await world.enroll("mx1")
    agent.denied_version = 1_000
    reply = await agent.checkin()
    assert reply.denied is None
    conditions = (await world.server(agent))["health"]["conditions"]
    assert [one["reason"] for one in conditions if one["type"] == "DeniedSetAhead"] == ["RestoredBackup"]
    await world.operator.post("/v1/denied-set", json={"range": "10.9.9.9"})
    reply = await agent.checkin()
    assert reply.denied is not None
    listed = DeniedList.model_validate_json(verify(reply.denied, "directive", agent.keys))
    assert listed.version > 1_000
    assert [row.range for row in listed.entries] == ["10.9.9.9"]
    agent.denied_version = listed.version
    await agent.checkin()
    conditions = (await world.server(agent))["health"]["conditions"]
    assert "DeniedSetAhead" not in [one["type"] for one in conditions]


async def test_a_version_that_no_clock_reaches_is_passed_over(world: World) -> None:
    agent = await world.enroll("mx1")
    before = world.app.state.fleet.v
    agent.denied_version = 2**60
    await agent.checkin()
    assert world.app.state.fleet.v == before
