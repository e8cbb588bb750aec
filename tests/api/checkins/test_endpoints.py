"""The agent plane, end to end on both databases: enrol, check in, take an offer, report, count."""

import asyncio
import json

import pytest

from gatepost.wire import CounterSet
from tests.support.control_plane import World
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio


async def test_a_published_draft_reaches_the_server_and_its_counts_come_back(world: World) -> None:
    agent = await world.enroll("mx1", labels={"site": "fra"}, addresses={"internal": "10.1.1.1"})
    assert (await agent.checkin()).offer is None
    published = await world.publish(
        "connectors: [{name: Relay, bindings: ['{internal}:25'], remote_ip_ranges: [192.168.5.10],"
        " permission_groups: [AnonymousUsers]}]"
    )
    assert published.status_code == 201, published.text
    await agent.checkin()
    offer = agent.offers[-1]
    assert (offer.server, offer.addresses) == ("mx1", {"internal": "10.1.1.1"})
    assert json.loads(agent.bundles[-1])["connectors"][0]["name"] == "Relay"

    agent.counters = (CounterSet(incarnation="incarnation-1", totals={"Relay": {"accepted": 3}}),)
    await agent.checkin()
    shown = await world.server(agent)
    assert shown["assignment"]["state"] == "settled"
    assert shown["running"]["digest"] == offer.digest == shown["assignment"]["digest"]
    counts = (await world.viewer.get("/v1/counts")).json()
    assert counts["servers"][0]["connectors"] == {"Relay": {"accepted": 3}}


async def test_a_parked_check_in_is_answered_as_soon_as_there_is_an_offer(world: World) -> None:
    agent = await world.enroll("mx1")
    parked = asyncio.create_task(agent.checkin(wait_s=20))
    await eventually(lambda: world.app.state.parking.is_parked(agent.server_id))
    await world.publish(
        "connectors: [{name: Relay, bindings: ['127.0.0.1:25'], remote_ip_ranges: [10.0.0.1]}]"
    )
    reply = await asyncio.wait_for(parked, 5)
    assert reply.offer is not None
