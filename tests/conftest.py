"""Fixtures that every folder of tests shares."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from deploy.demo import processes

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

# "ci": the same examples in every run, no clock in the verdict. "deep": for an afternoon's search, by
# `pytest --hypothesis-profile=deep`.
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=60, print_blob=True)
settings.register_profile(
    "deep", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """The PostgreSQL server of this test run: `create(template)`, `url(name)`, `drop(name)`."""
    from tests.support.postgres import running_postgres  # most runs of a few tests need none of this

    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: "PostgresServer") -> Iterator[str]:
    """A fresh, empty PostgreSQL database's URL."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database's URL whose file does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'gatepost.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, empty database's URL, once for each engine."""
    url: str = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    return url


@pytest.fixture
def free_port() -> Callable[[str], int]:
    """`free_port("127.0.0.1")`: a TCP port that nobody listens on there. No two calls of a run agree."""
    return _free_port


_given: set[tuple[str, int]] = set()


def _free_port(address: str = "127.0.0.1") -> int:
    while True:
        port = processes.free_port(address)
        if (address, port) not in _given:
            _given.add((address, port))
            return port
