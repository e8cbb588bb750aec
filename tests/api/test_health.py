"""Liveness, readiness and metrics."""

import time

import pytest

from tests.support.control_plane import DOCUMENT, World

pytestmark = pytest.mark.anyio


async def test_ready_means_that_the_fleet_is_known(small_world: World) -> None:
    client = small_world.anonymous()
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    small_world.app.state.fleet.read_at = time.monotonic() - 60
    stale = await client.get("/readyz")
    assert (stale.status_code, stale.json()) == (503, {"status": "stale"})


async def test_metrics_tell_of_servers_by_state(small_world: World) -> None:
    agent = await small_world.enroll("mx1")
    await small_world.enroll("mx2")
    await small_world.publish(DOCUMENT)
    await agent.checkin()
    await agent.checkin()
    text = (await small_world.viewer.get("/metrics")).text
    assert 'gatepost_api_servers{state="settled"} 1.0' in text
    assert 'gatepost_api_servers{state="pending"} 1.0' in text


async def test_a_parked_check_in_is_no_slow_answer(small_world: World) -> None:
    agent = await small_world.enroll("mx1")
    before = await seconds(small_world)
    await agent.checkin(wait_s=1)
    assert await seconds(small_world) - before < 1


async def seconds(world: World) -> float:
    text = (await world.viewer.get("/metrics")).text
    line = next(line for line in text.splitlines() if line.startswith("gatepost_api_request_seconds_sum"))
    return float(line.rpartition(" ")[2])
