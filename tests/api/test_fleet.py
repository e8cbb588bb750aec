"""The fleet in memory: what many ask for at once is read once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.db import Database
from gatepost_api.fleet import Fleet
from tests.support.control_plane import DOCUMENT, World

pytestmark = pytest.mark.anyio


class Counting(Database):
    """Counts who read, in all and at most at once."""

    readers = present = peak = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        self.readers += 1
        self.present += 1
        self.peak = max(self.peak, self.present)
        async with super().reading() as session:
            yield session
        self.present -= 1


async def test_a_bundle_that_a_fleet_asks_for_at_once_is_read_once(
    small_world: World, sqlite_ready: str
) -> None:
    agent = await small_world.enroll("mx1")
    await small_world.publish(DOCUMENT)
    await agent.checkin()
    digest = agent.offers[-1].digest
    database = Counting(sqlite_ready)
    fleet = Fleet(database, small_world.app.state.parking)
    try:
        found = await asyncio.gather(*(fleet.bundle(digest) for _ in range(50)))
        assert await fleet.bundle("sha256:" + "0" * 64) is None
    finally:
        await database.close()
    assert set(found) == {await small_world.app.state.fleet.bundle(digest)}
    assert database.readers == 2
