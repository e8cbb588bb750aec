"""Alembic's entry: uses the connection it is handed, or opens the database of GATEPOST_DATABASE_URL."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from gatepost_api.db import create_writer
from gatepost_api.settings import Settings
from gatepost_api.tables import Base


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def open_and_run() -> None:
    engine = create_writer(Settings().database_url)
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


handed = context.config.attributes.get("connection")
if handed is None:
    asyncio.run(open_and_run())
else:
    run(handed)
