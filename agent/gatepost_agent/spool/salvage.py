"""Reading what can still be read of a database that is damaged, or that a failed sync made untrustworthy."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import apsw

from gatepost_agent.spool.changes import Change
from gatepost_agent.spool.codec import COLUMNS, from_row, to_row
from gatepost_agent.spool.errors import Unreadable
from gatepost_agent.spool.messages import QueuedMessage
from gatepost_agent.spool.store import History, Store

_GAP_MAX = 500_000  # ids tried one by one between the last readable row from below and from above
_TAIL_MAX = 10_000  # the same when nothing is readable from above
_JUMP = 1_000_000  # how far ids go on when nobody knows the last one
_ROWS_AT_ONCE = 200

_UNREADABLE = (apsw.CorruptError, apsw.NotADBError, apsw.IOError, apsw.SQLError, Unreadable)


class Salvaged(NamedTuple):
    """What came over: ids of messages; `whole` is false when something could not be read."""

    ids: set[int]
    whole: bool


def copy_damaged(path: str, vfs: str | None, target: Store) -> Salvaged:
    """Copy what is readable of the database at `path`, changing nothing there."""
    with closing(apsw.Connection(path, vfs=vfs)) as source:
        source.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        source.pragma("locking_mode", "exclusive")  # no shared memory file
        return copy_readable(source, target)


def copy_readable(source: apsw.Connection, target: Store) -> Salvaged:
    """Copy every readable message, body and count that `source` sees into `target`."""
    reader = _Reader(source)
    ids = _copy_messages(reader, target)
    history = reader.history()
    if history is None:
        history = target.history()._replace(last_id=max(ids, default=0) + _JUMP)
        reader.whole = False
    target.take_over(history)
    return Salvaged(ids, reader.whole)


def adopt(messages: Iterator[QueuedMessage], target: Store) -> list[int]:
    """Queue messages whose body file is whole and whose row is lost; returns their ids."""
    ids = []
    for message in messages:
        target.apply(Change(inserts=[to_row(message)]))
        ids.append(message.id)
    return ids


def _copy_messages(reader: "_Reader", target: Store) -> set[int]:
    ids: set[int] = set()
    change = Change()
    for row in reader.rows("messages", COLUMNS):
        if reader.makes_sense(row):
            ids.add(row[0])
            change.inserts.append(row)
            change = _flush(change, target)
    _flush(change, target, at_least=1)
    change = Change()
    for row in reader.rows("bodies", ("id", "body")):
        if row[0] in ids:
            change.bodies.append((row[0], row[1]))
            change = _flush(change, target)
    _flush(change, target, at_least=1)
    return ids


def _flush(change: Change, target: Store, at_least: int = _ROWS_AT_ONCE) -> Change:
    if len(change.inserts) + len(change.bodies) < at_least:
        return change
    target.apply(change)
    return Change()


class _Reader:
    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self.whole = True

    def makes_sense(self, row: tuple[Any, ...]) -> bool:
        try:
            from_row(row)
        except Unreadable:
            self.whole = False
            return False
        return True

    def history(self) -> History | None:
        """None when it cannot all be read: then the counts begin anew under a new store id."""
        try:
            run = self._db.execute
            return History(
                store_id=str(run("SELECT value FROM facts WHERE name = 'store_id'").get),
                totals={(row[0], row[1]): row[2] for row in run("SELECT * FROM counts")},
                last_id=run("SELECT max(seq) FROM sqlite_sequence WHERE name = 'messages'").get or 0,
                origins=[(row[0], row[1]) for row in run("SELECT origin, id FROM imported")],
            )
        except _UNREADABLE:
            return None

    def rows(self, table: str, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
        """From below to the first damage, from above down to the last, then what is between, one by one."""
        query = f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 - our own names
        low, high = 0, None
        for row in self._until_damage(f"{query} WHERE id > 0 ORDER BY id"):
            low = row[0]
            yield row
        if self._reached_end:
            return
        self.whole = False
        if self._is_nothing:
            return
        for row in self._until_damage(f"{query} WHERE id > {low} ORDER BY id DESC"):
            high = row[0]
            yield row
        end = low + _TAIL_MAX if high is None else min(high, low + _GAP_MAX)
        for queue_id in range(low + 1, end):
            yield from self._until_damage(f"{query} WHERE id = ?", (queue_id,))

    def _until_damage(self, query: str, values: tuple[int, ...] = ()) -> Iterator[tuple[Any, ...]]:
        self._reached_end = self._is_nothing = False
        try:
            yield from self._db.execute(query, values)
            self._reached_end = True
        except (apsw.NotADBError, apsw.SQLError):  # no database, no such table
            self._is_nothing = True
        except _UNREADABLE:
            return
