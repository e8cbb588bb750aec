"""One code path on both databases: writers queue, readers do not, nobody hears «locked»."""

import asyncio

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from gatepost_api.db import Database, async_url
from gatepost_api.tables import DraftRow, FleetClock
from tests.support.control_plane import World

pytestmark = pytest.mark.anyio
WRITERS = 300


async def test_many_concurrent_writers_all_get_through(ready_url: str) -> None:
    database = Database(ready_url)

    async def raise_clock() -> None:
        async with database.writing() as session:
            await session.execute(update(FleetClock).values(v=FleetClock.v + 1))

    async with asyncio.TaskGroup() as group:
        for _ in range(WRITERS):
            group.create_task(raise_clock())
    async with database.reading() as session:
        assert await session.scalar(select(FleetClock.v)) == 1 + WRITERS
    await database.close()


async def test_a_block_that_fails_leaves_nothing(ready_url: str) -> None:
    database = Database(ready_url)

    async def fail() -> None:
        async with database.writing() as session:
            await session.execute(update(FleetClock).values(v=99))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.reading() as session:
        assert await session.scalar(select(FleetClock.v)) == 1
    await database.close()


async def test_a_reader_does_not_wait_for_a_writer_nor_see_its_work(ready_url: str) -> None:
    database = Database(ready_url)
    async with database.writing() as writer:
        await writer.execute(update(DraftRow).values(version=7))
        async with asyncio.timeout(5), database.reading() as reader:
            assert await reader.scalar(select(DraftRow.version)) == 1
    async with database.reading() as reader:
        assert await reader.scalar(select(DraftRow.version)) == 7
    await database.close()


async def test_what_follows_a_commit_comes_after_it(world: World) -> None:
    database = world.app.state.database
    seen: list[int | None] = []

    async def look() -> None:
        async with database.reading() as session:
            seen.append(await session.scalar(select(DraftRow.version)))

    async with database.writing() as session:
        session.info["after_commit"] = [look]
        await session.execute(update(DraftRow).values(version=5))
    assert seen == [5]


def test_urls_get_the_one_driver_of_their_database() -> None:
    assert async_url("sqlite:///a.db").drivername == "sqlite+aiosqlite"
    assert async_url("postgresql://x@/db?host=/run").drivername == "postgresql+psycopg"
    assert async_url("postgresql://x@/db?host=/run").query["host"] == "/run"


async def test_a_reading_session_cannot_write(sqlite_ready: str) -> None:
    database = Database(sqlite_ready)
    async with database.reading() as session:
        with pytest.raises(OperationalError, match="readonly"):
            await session.execute(update(FleetClock).values(v=99))
    await database.close()
