"""Migrations: up, down and up again with data; the tables are what the code says; old schemas are not served."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from gatepost_api.db import Database, create_writer
from gatepost_api.schema import alembic_config, migrate, schema_state
from gatepost_api.tables import Base, Denied, DraftRow
from tests.support.control_plane import control_plane


async def fill(url: str) -> None:
    database = Database(url)
    async with database.writing() as session:
        session.add(
            Denied(
                id="blk_1",
                address_range="10.0.0.1",
                scope="no_service",
                reason="",
                created_by="t",
                created_at=datetime.now(UTC),
            )
        )
    await database.close()


def down(connection: Connection, target: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.downgrade(config, target)


def test_up_down_and_up_again_with_data(database_url: str) -> None:
    async def story() -> None:
        engine = create_writer(database_url)
        assert (await schema_state(engine)).found is None
        await migrate(engine)
        assert (await schema_state(engine)).fits
        await fill(database_url)
        async with engine.begin() as connection:
            await connection.run_sync(down, "base")
            left = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        assert set(left) <= {"alembic_version"}
        await migrate(engine)
        await migrate(engine)  # at head already: nothing happens
        await engine.dispose()
        database = Database(database_url)
        async with database.reading() as session:
            row = await session.get(DraftRow, 1)
            assert row is not None
            assert row.version == 1
        await database.close()

    asyncio.run(story())


def test_the_migrations_make_exactly_the_tables_of_the_code(ready_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))

    async def story() -> list[object]:
        engine = create_writer(ready_url)
        async with engine.connect() as connection:
            found = await connection.run_sync(differences)
        await engine.dispose()
        return found

    assert asyncio.run(story()) == []


@pytest.mark.anyio
async def test_a_schema_that_does_not_fit_is_not_ready(sqlite_ready: str, tmp_path: Path) -> None:
    async with control_plane(sqlite_ready, tmp_path) as world:
        assert (await world.anonymous().get("/readyz")).json() == {"status": "ready"}
        async with world.app.state.database.writer.begin() as connection:
            await connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'other'")
        answer = await world.anonymous().get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"status": "schema"})
