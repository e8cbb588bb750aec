"""One code path to SQLite (aiosqlite) and PostgreSQL (psycopg 3).

On SQLite a transaction that may write begins with BEGIN IMMEDIATE, since a deferred one that upgrades fails
at once whatever the busy timeout; writers queue for one connection, readers have their own. On PostgreSQL
both share a pool.
Application code never commits: the session dependency, or `Database.writing()`, does.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm.exc import StaleDataError

from gatepost_api.errors import Unavailable

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}
WRITER_PRAGMAS = (
    "PRAGMA busy_timeout=5000",
    "PRAGMA auto_vacuum=INCREMENTAL",  # has to come before the file's first table
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
)
# Nothing that takes the write lock: a reader has to get in while somebody writes.
READER_PRAGMAS = ("PRAGMA busy_timeout=5000", "PRAGMA query_only=ON")
READERS = 4
POSTGRES_CONNECTIONS = 12


def async_url(url: str) -> URL:
    """The URL with the one driver used for its database; options are kept."""
    parsed = make_url(url)
    return parsed.set(drivername=DRIVERS[parsed.get_backend_name()])


def _prepare(pragmas: Sequence[str]) -> Callable[[Any, object], None]:
    def prepare(dbapi_connection: Any, _record: object) -> None:
        dbapi_connection.isolation_level = None  # the driver must not begin by itself: `begin` below does
        cursor = dbapi_connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    return prepare


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _sqlite_engine(url: URL, connections: int, *, writes: bool) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=connections, max_overflow=0, pool_timeout=30)
    event.listen(engine.sync_engine, "connect", _prepare(WRITER_PRAGMAS if writes else READER_PRAGMAS))
    event.listen(engine.sync_engine, "begin", _begin_immediate if writes else _begin_deferred)
    return engine


def create_writer(url: str) -> AsyncEngine:
    """An engine whose transactions may write; what `migrate` and short commands use as well."""
    parsed = async_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed, 1, writes=True)
    return create_async_engine(parsed, pool_size=POSTGRES_CONNECTIONS, max_overflow=0, pool_pre_ping=True)


class Database:
    """The engines of one process, and sessions on them."""

    def __init__(self, url: str) -> None:
        self.url = async_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.writer = create_writer(url)
        self.reader = _sqlite_engine(self.url, READERS, writes=False) if self.is_sqlite else self.writer
        self._writing = async_sessionmaker(self.writer, expire_on_commit=False)
        self._reading = async_sessionmaker(self.reader, expire_on_commit=False)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A session that commits when the block ends well; Unavailable when the commit fails.

        What the block put into `session.info["after_commit"]` is awaited once the commit stands.
        """
        async with self._writing() as session:
            yield session
            await commit(session)
            for follow in session.info.pop("after_commit", ()):
                await follow()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads; what it changed is lost."""
        async with self._reading() as session:
            yield session

    async def close(self) -> None:
        await self.writer.dispose()
        if self.reader is not self.writer:
            await self.reader.dispose()


async def commit(session: AsyncSession) -> None:
    """Commit, and say so when that failed: an answer must never claim what the disk does not hold."""
    try:
        await session.commit()
    except (IntegrityError, StaleDataError):
        raise  # the caller's conflict, not our trouble: see `problems.py`
    except SQLAlchemyError as error:
        raise Unavailable("The change could not be stored; nothing of it was kept. Try again.") from error


async def upsert(
    session: AsyncSession, table: type[DeclarativeBase], rows: Sequence[dict[str, Any]], keys: Sequence[str]
) -> None:
    """Insert rows, or overwrite those that have the same keys; one statement on either database."""
    if not rows:
        return
    dialect = session.get_bind().dialect.name
    statement = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    await session.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changed), rows)


async def insert_new(
    session: AsyncSession, table: type[DeclarativeBase], rows: Sequence[dict[str, Any]], keys: Sequence[str]
) -> None:
    """Insert the rows whose keys are not there yet."""
    if rows:
        dialect = session.get_bind().dialect.name
        statement = (postgresql if dialect == "postgresql" else sqlite).insert(table)
        await session.execute(statement.on_conflict_do_nothing(index_elements=list(keys)), rows)


def database(request: Request) -> Database:
    """The database of the application that serves the request."""
    found: Database = request.app.state.database
    return found


async def write_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with database(request).writing() as session:
        request.state.session = session
        yield session


async def read_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with database(request).reading() as session:
        yield session


# scope="function": the commit comes before the response is sent; a failed one is a 503 and never a 200.
WriteSession = Annotated[AsyncSession, Depends(write_session, scope="function")]
ReadSession = Annotated[AsyncSession, Depends(read_session, scope="function")]
