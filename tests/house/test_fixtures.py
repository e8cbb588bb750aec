"""What the tests stand on: databases, ports, waiting."""

import asyncio
import os
import stat
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.postgres import PostgresServer
from tests.support.waiting import eventually, wait_until


async def _tables_after(url: str, *statements: str) -> int:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))
            count: int = (await connection.execute(text("SELECT count(*) FROM house"))).scalar_one()
            return count
    finally:
        await engine.dispose()


@pytest.mark.parametrize("_round", [1, 2])
def test_each_test_gets_an_empty_database_on_both_engines(database_url: str, _round: int) -> None:
    made = "CREATE TABLE house (room text)", "INSERT INTO house VALUES ('hall')"
    assert asyncio.run(_tables_after(database_url, *made)) == 1


def test_a_database_is_copied_from_a_template(postgres: PostgresServer) -> None:
    template = postgres.create()
    asyncio.run(_tables_after(postgres.url(template), "CREATE TABLE house (room text)"))
    copy = postgres.create(template)
    assert asyncio.run(_tables_after(postgres.url(copy))) == 0
    postgres.drop(copy)
    postgres.drop(template)


def test_the_server_listens_on_no_port_and_runs_without_privileges(postgres: PostgresServer) -> None:
    with psycopg.connect(host=str(postgres.folder), user="postgres", dbname="postgres") as connection:
        (addresses,) = connection.execute("SHOW listen_addresses").fetchone() or (None,)
    assert addresses == ""
    assert (postgres.folder / "data").stat().st_uid != 0
    assert stat.S_IMODE((postgres.folder / "data").stat().st_mode) == 0o700
    assert postgres.folder.stat().st_uid == (postgres.folder / "data").stat().st_uid or os.getuid() != 0


def test_free_ports_differ(free_port: Callable[[str], int]) -> None:
    assert len({free_port("127.0.0.1") for _ in range(50)}) == 50


def test_waiting_ends_at_the_deadline_and_says_what_was_seen() -> None:
    with pytest.raises(AssertionError, match=r"not within 0.05 s: the bell \(last seen: 0\)"):
        wait_until(lambda: 0, 0.05, what="the bell")


def test_waiting_returns_what_came() -> None:
    answers = iter([None, "", "mail"])
    assert wait_until(lambda: next(answers)) == "mail"


def test_waiting_on_the_loop_takes_coroutines_and_functions() -> None:
    async def scene() -> tuple[str | None, str | None]:
        plain, later = iter([None, "plain"]), iter([None, "later"])

        async def ask() -> str | None:
            return next(later)

        return await eventually(lambda: next(plain)), await eventually(ask)

    assert asyncio.run(scene()) == ("plain", "later")
