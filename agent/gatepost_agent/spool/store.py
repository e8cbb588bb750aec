"""The database. Everything here blocks and belongs to the writer's thread."""

import json
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from functools import lru_cache
from time import perf_counter
from typing import Any, NamedTuple

import apsw

from gatepost_agent.spool.changes import Change, CountKey
from gatepost_agent.spool.codec import CHANGING, COLUMNS, from_row
from gatepost_agent.spool.errors import Unreadable
from gatepost_agent.spool.faults import Fault, no_fault
from gatepost_agent.spool.messages import QueuedMessage
from gatepost_agent.spool.schema import connect

_ALL_COLUMNS = ", ".join(COLUMNS)
_SMALL = 16 * 1024  # a body that is read along with its message
IMPORTS_KEPT = 1_000_000  # messages since: so long an export may be imported again and adds nothing
_SPARE_PAGES = 2500  # freed pages kept for the next messages; the rest goes back to the disk


class Listed(NamedTuple):
    """What the index in memory keeps of a message."""

    id: int
    kept: bool
    held: bool
    next_attempt: float
    received_at: float
    size: int


class History(NamedTuple):
    """What must go on when the file is replaced: ids never repeat, counts never fall under one `store_id`."""

    store_id: str
    totals: dict[CountKey, int]
    last_id: int
    origins: list[tuple[str, int]]


class Store:
    """One connection; the only one that ever reads, writes or checkpoints the file."""

    def __init__(
        self, path: str, vfs: str | None = None, *, synchronous: str = "full", fault: Fault = no_fault
    ) -> None:
        """Open or create. Raises SpoolInUse, VersionRefused, apsw.Error."""
        self.connection = self._db = connect(path, vfs, synchronous=synchronous)
        self._fault = fault
        self.wal_pages = 0
        self._db.set_wal_hook(self._note_wal)
        self.store_id = ""
        self.totals: dict[CountKey, int] = {}  # committed; replaced, never changed in place
        self.groups = 0  # transactions so far
        self.commit_s = 0.0  # seconds spent in them

    def read_totals(self) -> None:
        """Take the counts of earlier runs, and the name under which they go on."""
        self.store_id = str(self._db.execute("SELECT value FROM facts WHERE name = 'store_id'").get)
        rows = self._db.execute("SELECT connector, event, total FROM counts")
        self.totals = {(connector, event): total for connector, event, total in rows}

    def damage(self) -> str | None:
        """What `quick_check` finds, in one line; None when all is well."""
        found = [str(row[0]) for row in self._db.execute("PRAGMA quick_check(3)")]
        return None if found == ["ok"] else "; ".join(found)

    def last_id(self) -> int:
        """The highest id ever stored, 0 if none."""
        return self._db.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'messages'").get or 0

    # -- changing

    def apply(self, change: Change) -> None:
        """One transaction, a fixed number of SQLite calls however many callers it serves. Raises apsw.Error."""
        began = perf_counter()
        self._fault("group-begun")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._write(change)
            self._fault("group-written")
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self.groups += 1
        self.commit_s += perf_counter() - began
        if change.counts:
            self.totals = _sum(self.totals, change.counts)
        self._fault("group-committed")

    def _write(self, change: Change) -> None:
        run = self._db.execute
        if change.inserts:
            run(_insert("messages", len(COLUMNS), len(change.inserts)), _flat(change.inserts))
        if change.bodies:
            # A statement that is kept prepared keeps what was bound to it: megabytes for each size of group.
            run(_insert("bodies", 2, len(change.bodies)), _flat(change.bodies), can_cache=False)
        if change.origins:
            run(_insert("imported", 2, len(change.origins)), _flat(change.origins))
        if change.updates:
            run(_update(len(change.updates)), _flat(change.updates.values()))
        if change.deletes:
            ids = json.dumps(change.deletes)
            run("DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?))", (ids,))
            run("DELETE FROM bodies WHERE id IN (SELECT value FROM json_each(?))", (ids,))
        if change.counts:
            run(
                f"{_insert('counts', 3, len(change.counts))} "
                "ON CONFLICT DO UPDATE SET total = total + excluded.total",
                _flat((*key, number) for key, number in change.counts.items()),
            )

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # SQLite has done it itself after some errors
            self._db.execute("ROLLBACK")

    def mark(self, ids: Sequence[int], column: str, value: float) -> list[int]:
        """Set `held`, `attempts` or `next_attempt` of queued messages; returns the ids there were."""
        found = self._db.execute(
            f"UPDATE messages SET {column} = ? WHERE standing = 'queued' "  # noqa: S608 - one of three names
            "AND id IN (SELECT value FROM json_each(?)) RETURNING id",
            (value, json.dumps(list(ids))),
        )
        return [row[0] for row in found]

    # -- reading

    def listed(self) -> list[Listed]:
        """Every message, by id, for the index."""
        rows = self._db.execute(
            "SELECT id, standing <> 'queued', held, next_attempt, received_at, size FROM messages ORDER BY id"
        )
        return [Listed(row[0], bool(row[1]), bool(row[2]), *row[3:]) for row in rows]

    def ids_in_files(self) -> set[int]:
        """The messages whose body is in a file."""
        return {row[0] for row in self._db.execute("SELECT id FROM messages WHERE body_at IS NOT NULL")}

    def load(self, ids: Iterable[int]) -> list[tuple[QueuedMessage, bytes | None]]:
        """Messages with their body, None if that is not small, is in a file or lost."""
        body = f"CASE WHEN m.size <= {_SMALL} THEN b.body END"
        rows = self._db.execute(
            f"SELECT {_prefixed('m')}, {body} FROM messages m LEFT JOIN bodies b USING (id) "  # noqa: S608
            "WHERE m.id IN (SELECT value FROM json_each(?)) ORDER BY m.id",
            (json.dumps(list(ids)),),
        )
        return [(message, row[-1]) for row in rows if (message := _readable(row[:-1]))]

    def messages(self, ids: Sequence[int]) -> list[QueuedMessage]:
        """Those of the messages that there are, without bodies."""
        return self._messages("id IN (SELECT value FROM json_each(?)) ORDER BY id", (json.dumps(list(ids)),))

    def page(self, after: int, *, kept: bool, limit: int) -> list[QueuedMessage]:
        """Up to `limit` messages with an id above `after`; none when there are no more."""
        condition = f"id > ? AND standing {'<>' if kept else '='} 'queued' ORDER BY id LIMIT ?"
        while rows := self._rows(condition, (after, limit)):
            if readable := [message for row in rows if (message := _readable(row))]:
                return readable
            after = rows[-1][0]
        return []

    def whole(
        self, after: int, last: int
    ) -> Generator[tuple[int, QueuedMessage | None, bytes | None], None, None]:
        """Messages with an id above `after` and up to `last`, by id: the id, the message, its body.

        None for the message: the row makes no sense (it stays, and is not delivered); for the body: it is in a file
        or lost. To be closed, as the WAL cannot be checkpointed whole meanwhile.
        """
        query = (
            f"SELECT {_prefixed('m')}, b.body FROM messages m LEFT JOIN bodies b USING (id) "  # noqa: S608
            "WHERE m.id > ? AND m.id <= ? ORDER BY m.id"
        )
        with closing(self._db.execute(query, (after, last))) as rows:
            for *row, body in rows:
                yield row[0], _readable(row), body if isinstance(body, bytes) else None

    def strays(self) -> int:
        """How many bodies belong to no message."""
        return int(
            self._db.execute("SELECT count(*) FROM bodies WHERE id NOT IN (SELECT id FROM messages)").get
        )

    def outdated(self, now: float, limit: int) -> list[QueuedMessage]:
        """Up to `limit` failed or expired messages that have been kept long enough."""
        return self._messages("keep_until <= ? ORDER BY id LIMIT ?", (now, limit))

    def _messages(self, condition: str, values: tuple[Any, ...]) -> list[QueuedMessage]:
        return [message for row in self._rows(condition, values) if (message := _readable(row))]

    def _rows(self, condition: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        query = f"SELECT {_ALL_COLUMNS} FROM messages WHERE {condition}"  # noqa: S608 - our own text
        return self._db.execute(query, values).fetchall()

    def body(self, queue_id: int) -> bytes:
        """A body that is not in a file. Raises Unreadable when there is none."""
        found = self._db.execute("SELECT body FROM bodies WHERE id = ?", (queue_id,)).get
        if not isinstance(found, bytes):
            raise Unreadable(f"the body of message {queue_id} is lost")
        return found

    def imported(self, origin: str) -> int | None:
        """The id that a message of `origin` was given here."""
        found = self._db.execute("SELECT id FROM imported WHERE origin = ?", (origin,)).get
        return None if found is None else int(found)

    def forget_old_imports(self) -> None:
        """Of messages that came in long ago nobody imports another copy. Raises apsw.Error."""
        oldest = self.last_id() - IMPORTS_KEPT
        if oldest > 0:
            self._db.execute("DELETE FROM imported WHERE id < ?", (oldest,))

    def history(self) -> "History":
        """What outlives the messages. Raises apsw.Error."""
        origins = [(str(row[0]), int(row[1])) for row in self._db.execute("SELECT origin, id FROM imported")]
        self.read_totals()
        return History(self.store_id, self.totals, self.last_id(), origins)

    def take_over(self, history: "History") -> None:
        """Go on with another file's history."""
        with self._db:
            self._db.execute("UPDATE facts SET value = ? WHERE name = 'store_id'", (history.store_id,))
            self._db.execute("DELETE FROM sqlite_sequence WHERE name = 'messages'")
            self._db.execute("INSERT INTO sqlite_sequence VALUES ('messages', ?)", (history.last_id,))
        self.apply(Change(counts=dict(history.totals), origins=history.origins))

    # -- upkeep

    def _note_wal(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK

    def checkpoint(self, *, truncate: bool = False) -> None:
        """Move the WAL's pages into the database, and give what it no longer needs back to the disk."""
        if self._db.pragma("freelist_count") > _SPARE_PAGES:
            self._db.pragma("incremental_vacuum", _SPARE_PAGES)
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if truncate else apsw.SQLITE_CHECKPOINT_PASSIVE
        self._db.wal_checkpoint(mode=mode)
        self.wal_pages = 0
        self._fault("checkpoint-done")

    def close(self) -> None:
        """Close; the WAL stays and is read at the next open."""
        self._db.close(True)


def _readable(row: Sequence[Any]) -> QueuedMessage | None:
    try:
        return from_row(row)
    except Unreadable:
        return None


def _sum(totals: dict[CountKey, int], more: dict[CountKey, int]) -> dict[CountKey, int]:
    return {**totals, **{key: totals.get(key, 0) + number for key, number in more.items()}}


def _flat(rows: Iterable[Sequence[Any]]) -> list[Any]:
    return [value for row in rows for value in row]


@lru_cache(maxsize=256)
def _insert(table: str, columns: int, rows: int) -> str:
    row = f"({','.join('?' * columns)})"
    names = f"({_ALL_COLUMNS})" if table == "messages" else ""  # a newer release may have added columns
    return f"INSERT INTO {table}{names} VALUES {','.join([row] * rows)}"  # noqa: S608 - our own names


@lru_cache(maxsize=128)
def _update(rows: int) -> str:
    row = f"({','.join('?' * (1 + len(CHANGING)))})"
    assignments = ", ".join(f"{name} = v.column{place}" for place, name in enumerate(CHANGING, 2))
    values = ",".join([row] * rows)
    return f"UPDATE messages SET {assignments} FROM (VALUES {values}) v WHERE id = v.column1"  # noqa: S608


def _prefixed(table: str) -> str:
    return ", ".join(f"{table}.{name}" for name in COLUMNS)
