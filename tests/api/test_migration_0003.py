"""Blocks of the same addresses that were stored before 0003 become one, and as much stays blocked."""

import asyncio
from typing import Any

from alembic import command
from sqlalchemy import Connection, text

from gatepost_api.db import create_writer
from gatepost_api.schema import alembic_config, migrate

STORED = [
    ("blk_4", "10.9.9.9/32", "2026-11-24 12:00:00"),
    ("blk_3", "10.9.9.9", "2026-11-24 12:00:01"),
    ("blk_2", "2001:DB8::1/128", "2026-11-24 12:00:02"),
    ("blk_1", "10.8.0.0/16", "2026-11-24 12:00:03"),
    ("blk_0", "written by hand", "2026-11-24 12:00:04"),
]
BLOCK = """INSERT INTO denied (id, address_range, scope, reason, created_by, created_at)
    VALUES (:id, :range, 'no_service', '', 'ci', :at)"""
ALIKE = [
    ("blk_0", "written by hand"),
    ("blk_1", "10.8.0.0/16"),
    ("blk_2", "2001:db8::1"),
    ("blk_4", "10.9.9.9"),
]


def blocks(connection: Connection) -> list[Any]:
    rows = connection.execute(text("SELECT id, address_range FROM denied ORDER BY id")).all()
    return [tuple(row) for row in rows]


def down(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0002")


def test_blocks_of_the_same_addresses_become_one(database_url: str) -> None:
    async def story() -> None:
        engine = create_writer(database_url)
        await migrate(engine, "0002")
        async with engine.begin() as connection:
            for id_, range_, at in STORED:
                await connection.execute(text(BLOCK), {"id": id_, "range": range_, "at": at})
        await migrate(engine, "0003")
        async with engine.begin() as connection:
            assert await connection.run_sync(blocks) == ALIKE
            await connection.run_sync(down)
            assert await connection.run_sync(blocks) == ALIKE
        await migrate(engine, "0003")
        await engine.dispose()

    asyncio.run(story())
