"""Rejections that pass are tried again three times; others wait for an operator."""

from datetime import UTC, datetime, timedelta

import pytest

from gatepost.wire import Attempt, AttemptError
from gatepost_api.servers.retrying import retry_due
from tests.support.control_plane import DOCUMENT, FakeAgent, World

pytestmark = pytest.mark.anyio


async def reject(agent: FakeAgent, *, retryable: bool) -> None:
    agent.outcome = "rejected"
    await agent.checkin()
    offer = agent.offers[-1]
    error = AttemptError(type="bind-failed", detail="port 25 is busy", retryable=retryable)
    agent.attempt = Attempt(
        generation=offer.generation, digest=offer.digest, outcome="rejected", phase="bind", errors=(error,)
    )
    await agent.checkin()


async def retries(world: World, minutes: float) -> int:
    state = world.app.state
    return await retry_due(state.database, state.fleet, datetime.now(UTC) + timedelta(minutes=minutes))


async def test_a_busy_port_is_tried_again_after_1_5_and_15_minutes_and_no_more(world: World) -> None:
    agent = await world.enroll("mx1")
    await world.publish(DOCUMENT)
    for minutes in (1, 5, 15):
        await reject(agent, retryable=True)
        assert await retries(world, minutes - 0.5) == 0
        assert await retries(world, minutes + 0.1) == 1
    await reject(agent, retryable=True)
    assert await retries(world, 60) == 0
    assert [offer.generation for offer in agent.offers] == [1, 2, 3, 4]


async def test_a_rejection_for_good_is_not_tried_again(world: World) -> None:
    agent = await world.enroll("mx1")
    await world.publish(DOCUMENT)
    await reject(agent, retryable=False)
    assert await retries(world, 60) == 0
