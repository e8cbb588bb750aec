"""The schema's version: migrating, and knowing whether database and code fit each other."""

from pathlib import Path
from typing import NamedTuple

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

MIGRATION_LOCK = 0x6761_7465  # any number, the same in every replica


class SchemaState(NamedTuple):
    """`found` in the database (None: no schema at all) and `needed` by this code: revision names."""

    found: str | None
    needed: str

    @property
    def fits(self) -> bool:
        return self.found == self.needed


def migrations_folder() -> Path:
    """Inside the installed wheel, else at the checkout's root."""
    here = Path(__file__).resolve().parent
    shipped = here / "migrations"
    return shipped if shipped.is_dir() else here.parents[1] / "migrations"


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config


def _upgrade(connection: Connection, target: str) -> None:
    if connection.dialect.name == "postgresql":  # replicas that start together migrate one after the other
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, target)


async def migrate(engine: AsyncEngine, target: str = "head") -> None:
    """Bring the database to the target revision, in one transaction."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade, target)


def _state(connection: Connection) -> SchemaState:
    needed = ScriptDirectory.from_config(alembic_config()).get_current_head() or ""
    return SchemaState(found=MigrationContext.configure(connection).get_current_revision(), needed=needed)


async def schema_state(engine: AsyncEngine) -> SchemaState:
    """What the database holds beside what the code needs; reads only."""
    async with engine.connect() as connection:
        return await connection.run_sync(_state)
