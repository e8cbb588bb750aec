"""A control plane for each test: `world`, on both databases, which are copies of a migrated one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from tests.support.control_plane import World, control_plane, copy_of, migrated, sqlite_template
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    """Thousands of request lines, and tracebacks in colour, take longer than what they tell of."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))


@pytest.fixture(scope="session")
def sqlite_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sqlite_template(tmp_path_factory.mktemp("schema"))


@pytest.fixture(scope="session")
def postgres_schema(postgres: PostgresServer) -> str:
    name = postgres.create()
    asyncio.run(migrated(postgres.url(name)))
    return name


@pytest.fixture
def sqlite_ready(sqlite_schema: Path, tmp_path: Path) -> str:
    """URL of a migrated SQLite database."""
    return copy_of(sqlite_schema, tmp_path)


@pytest.fixture
def postgres_ready(postgres: PostgresServer, postgres_schema: str) -> Iterator[str]:
    """URL of a migrated PostgreSQL database."""
    name = postgres.create(postgres_schema)
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(params=["sqlite_ready", "postgres_ready"])
def ready_url(request: pytest.FixtureRequest) -> str:
    """URL of a migrated database, once on each engine."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
async def world(ready_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A running control plane, on each engine in turn."""
    async with control_plane(ready_url, tmp_path) as made:
        yield made


@pytest.fixture
async def small_world(sqlite_ready: str, tmp_path: Path) -> AsyncIterator[World]:
    """A running control plane on SQLite, for what does not depend on the database."""
    async with control_plane(sqlite_ready, tmp_path) as made:
        yield made
