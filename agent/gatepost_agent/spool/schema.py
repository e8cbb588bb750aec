"""The database's format, and which releases can run it."""

import uuid

import apsw

from gatepost_agent.spool.errors import SpoolInUse, VersionRefused

APPLICATION_ID = 0x47505351  # "GPSQ"
FORMAT = 1  # what this release writes (user_version)
RUNS_WITH = 1  # the oldest format number whose releases can run what this one writes

PAGE_LIMIT_WAL = 8000  # 32 MB; more than this and the writer checkpoints at once
_WAL_BYTES_KEPT = 40_000_000

# AUTOINCREMENT: an id that was shown in a 250 is never given again, even after the message is gone.
_TABLES = """
CREATE TABLE messages(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    standing TEXT NOT NULL, next_attempt REAL NOT NULL, attempts INTEGER NOT NULL, keep_until REAL,
    expires_at REAL NOT NULL, recipients TEXT NOT NULL, held INTEGER NOT NULL,
    received_at REAL NOT NULL, size INTEGER NOT NULL, crc32 INTEGER NOT NULL, body_at INTEGER,
    about TEXT NOT NULL);
CREATE TABLE bodies(id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE counts(connector TEXT, event TEXT, total INTEGER NOT NULL, PRIMARY KEY(connector, event))
    WITHOUT ROWID;
CREATE TABLE imported(origin TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE facts(name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
"""


def connect(path: str, vfs: str | None, *, synchronous: str = "full") -> apsw.Connection:
    """Open or create the database. Raises SpoolInUse, VersionRefused, apsw.Error.

    The lock is exclusive and stays: no other process reads half a story, and the WAL needs no shared memory.
    """
    connection = apsw.Connection(path, vfs=vfs, statementcachesize=64)
    try:
        _configure(connection, synchronous)
        if connection.pragma("user_version") == 0:
            _create(connection)
        _refuse_what_we_cannot_run(connection, path)
    except apsw.BusyError as error:
        connection.close()
        raise SpoolInUse(f"{path} is in use by another process; stop it first") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: apsw.Connection, synchronous: str) -> None:
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # a damaged file is left as it was found
    connection.pragma("locking_mode", "exclusive")
    connection.pragma("auto_vacuum", "incremental")
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", synchronous)
    connection.pragma("wal_autocheckpoint", 0)  # the writer does it when nobody waits
    connection.pragma("journal_size_limit", _WAL_BYTES_KEPT)
    connection.pragma("cache_size", -1024)  # KiB; 4 MB are no faster
    connection.pragma("temp_store", "memory")


def _create(connection: apsw.Connection) -> None:
    with connection:
        connection.execute(_TABLES)
        connection.execute(
            "INSERT INTO facts VALUES ('store_id', ?), ('runs_with', ?)", (uuid.uuid4().hex, RUNS_WITH)
        )
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", FORMAT)


def _refuse_what_we_cannot_run(connection: apsw.Connection, path: str) -> None:
    if connection.pragma("application_id") != APPLICATION_ID:
        raise VersionRefused(f"{path} is a database of something else: name another state folder")
    written = connection.pragma("user_version")
    needed = connection.execute("SELECT value FROM facts WHERE name = 'runs_with'").get
    if needed is None or needed > FORMAT:
        raise VersionRefused(
            f"{path} was written in format {written} and needs a release that runs format {needed}; this one "
            f"runs format {FORMAT}: install the newer release again, or let it deliver or export the queue first"
        )
