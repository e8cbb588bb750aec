"""The database itself: what it keeps in memory."""

from pathlib import Path

import apsw

from gatepost_agent.spool.changes import Change
from gatepost_agent.spool.store import Store

KEPT = 6 * 1024 * 1024  # octets: its page cache and a little
BODY = bytes(100_000)


def test_bodies_are_not_kept_in_memory_by_the_statements_that_stored_them(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "spool.db"))
    before = apsw.memory_used()
    for size in range(1, 13):  # each size of group is a statement of its own, and could be kept prepared
        store.apply(Change(bodies=[(1000 * size + number, BODY) for number in range(size)]))
    assert apsw.memory_used() - before < KEPT
    store.close()
