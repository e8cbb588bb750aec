"""Who calls: a fleet that comes back all at once leaves the database's readers to others."""

import asyncio

import pytest
from fastapi import Request

from gatepost_api.checkins.agents import READING, Agents
from tests.api.test_fleet import Counting
from tests.support.control_plane import World

pytestmark = pytest.mark.anyio


async def test_tokens_that_are_not_known_yet_are_looked_up_a_few_at_a_time(
    small_world: World, sqlite_ready: str
) -> None:
    enrolled = [await small_world.enroll(f"mx{number}") for number in range(3 * READING)]
    database = Counting(sqlite_ready)
    agents = Agents(database, small_world.app.state.fleet)

    async def identified(header: str) -> str:
        scope = {"type": "http", "headers": [(b"authorization", header.encode())]}
        return (await agents.identify(Request(scope))).name

    headers = [agent.client.headers["authorization"] for agent in enrolled]
    try:
        names = await asyncio.gather(*(identified(header) for header in headers))
    finally:
        await database.close()
    assert names == [agent.name for agent in enrolled]
    assert (database.readers, database.peak) == (len(enrolled), READING)
