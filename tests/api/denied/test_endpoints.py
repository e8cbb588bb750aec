"""Blocks reach agents past everything, and lifting one is an act of its own."""

import asyncio
from typing import Literal

import pytest
from sqlalchemy import update

from gatepost.signing import verify
from gatepost.wire import DeniedList, Health
from gatepost_api.db import Database
from gatepost_api.tables import FleetClock
from tests.support.control_plane import FakeAgent, World
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


async def test_one_set_of_addresses_is_one_block_however_it_is_written(world: World) -> None:
    for spellings in (
        ("10.9.9.9", "10.9.9.9/32", "10.9.9.9-10.9.9.9", "10.9.9.9(255.255.255.255)", "::ffff:10.9.9.9"),
        ("2001:db8::1", "2001:db8::1/128", "2001:DB8:0:0::1", "2001:db8::1-2001:db8::1"),
        ("10.8.0.0/16", "10.8.7.6/16", "10.8.0.0-10.8.255.255"),
    ):
        made = [await world.operator.post("/v1/denied-set", json={"range": text}) for text in spellings]
        assert {(one.json()["id"], one.json()["range"]) for one in made} == {
            (made[0].json()["id"], spellings[0])
        }


async def denied_by(world: World, agent: FakeAgent) -> list[str]:
    """What a check-in is told to deny; the agent takes it."""
    reply = await agent.checkin()
    assert reply.denied is not None
    listed = DeniedList.model_validate_json(verify(reply.denied, "directive", agent.keys))
    assert listed.version > agent.denied_version
    agent.denied_version = listed.version
    return [row.range for row in listed.entries]


async def conditions(world: World, agent: FakeAgent) -> list[str]:
    return [one["type"] for one in (await world.server(agent))["health"]["conditions"]]


async def test_after_a_restored_backup_nothing_is_lifted_until_somebody_chooses(world: World) -> None:
    kept = await world.operator.post("/v1/denied-set", json={"range": "10.9.9.9"})
    path = f"/v1/denied-set/{kept.json()['id']}"
    agent = await world.enroll("mx1")
    agent.denied_version = 1_000
    assert (await agent.checkin()).denied is None
    assert "DeniedSetAhead" in await conditions(world, agent)

    for refused in (
        await world.admin.post("/v1/denied-set", json={"range": "10.7.7.7"}),
        await world.admin.delete(path, headers={"If-Match": '"1"'}),
    ):
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/denied-set-held")
    assert (await world.viewer.get(path)).status_code == 200
    assert (await agent.checkin()).denied is None

    chosen = {"ranges": ["10.8.8.8", "10.9.9.9/32", "10.8.8.8/32"], "reason": "from mx1"}
    assert (await world.operator.post("/v1/denied-set:overwrite", json=chosen)).status_code == 403
    made = await world.admin.post("/v1/denied-set:overwrite", json=chosen)
    assert [block["range"] for block in made.json()["blocks"]] == ["10.8.8.8"]
    assert sorted(await denied_by(world, agent)) == ["10.8.8.8", "10.9.9.9"]
    await agent.checkin()
    assert "DeniedSetAhead" not in await conditions(world, agent)

    assert (await world.admin.post("/v1/denied-set:overwrite", json={})).status_code == 409
    assert (await world.operator.post("/v1/denied-set", json={"range": "10.7.7.7"})).status_code == 201
    assert sorted(await denied_by(world, agent)) == ["10.7.7.7", "10.8.8.8", "10.9.9.9"]
    events = (await world.viewer.get("/v1/audit-events", params={"object_kind": "denied set"})).json()[
        "items"
    ]
    assert [(event["action"], event["reason"]) for event in events] == [("overwrite", "from mx1")]


@pytest.mark.parametrize(
    ("reported", "shown"), [("ok", "degraded"), ("degraded", "degraded"), ("failing", "failing")]
)
async def test_a_host_that_denies_more_than_is_known_is_not_shown_as_well(
    small_world: World, reported: Literal["ok", "degraded", "failing"], shown: str
) -> None:
    agent = await small_world.enroll("mx1")
    agent.health = Health(status=reported)
    await agent.checkin(denied_version=1_000)
    assert (await small_world.server(agent))["health"]["status"] == shown


async def test_a_host_that_was_away_while_somebody_chose_is_asked_about_too(world: World) -> None:
    one, two = await world.enroll("mx1"), await world.enroll("mx2")
    one.denied_version, two.denied_version = 1_000, 1_002
    await one.checkin()
    await world.admin.post("/v1/denied-set:overwrite", json={})
    assert await denied_by(world, one) == []
    assert (await two.checkin()).denied is None
    refused = await world.operator.post("/v1/denied-set", json={"range": "10.7.7.7"})
    assert refused.status_code == 409


async def test_a_list_that_another_process_made_is_no_restored_backup(world: World, ready_url: str) -> None:
    agent = await world.enroll("mx1")
    other = Database(ready_url)
    async with other.writing() as session:
        await session.execute(update(FleetClock).values(v=FleetClock.v + 50, denied_v=FleetClock.v + 50))
    await other.close()
    agent.denied_version = world.app.state.fleet.v + 50
    await agent.checkin()
    assert "DeniedSetAhead" not in await conditions(world, agent)
    assert (await world.operator.post("/v1/denied-set", json={"range": "10.7.7.7"})).status_code == 201


async def test_a_version_that_no_clock_reaches_is_passed_over(world: World) -> None:
    agent = await world.enroll("mx1")
    before = world.app.state.fleet.v
    agent.denied_version = 2**60
    await agent.checkin()
    assert world.app.state.fleet.v == before
    assert (await world.operator.post("/v1/denied-set", json={"range": "10.7.7.7"})).status_code == 201
