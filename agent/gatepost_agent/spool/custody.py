"""The store in good days and bad: what is done when a sync fails or the file turns out to be damaged.

Belongs to the writer's thread; the loop only reads `trouble`, `problems` and the store's figures.
"""

from collections.abc import Callable
from typing import TypeVar

import apsw

from gatepost_agent.spool.changes import Change
from gatepost_agent.spool.errors import SpoolError
from gatepost_agent.spool.opening import DAMAGE, Opened, Place, open_store, rebuild
from gatepost_agent.spool.store import Listed, Store

T = TypeVar("T")

_SYNC_FAILED = {apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC}


class Custody:
    """Holds the Store, or the reason why there is none."""

    def __init__(self, place: Place, on_rebuilt: Callable[[list[Listed]], None]) -> None:
        self._place = place
        self._on_rebuilt = on_rebuilt
        self._again: Callable[[], Opened] | None = None
        self.store: Store | None = None
        self.trouble: str | None = None  # why nothing is accepted
        self.problems: tuple[str, ...] = ()

    def open(self) -> None:
        """Raises SpoolError."""
        try:
            self._adopt(open_store(self._place))
        except (apsw.Error, OSError) as error:
            raise SpoolError(f"cannot open the spool in {self._place.folder}: {error}") from error

    def ready(self) -> Store:
        """The store. Raises OSError while there is none."""
        if self.store is None:
            raise OSError(f"the spool is closed for repair: {self.trouble}")
        return self.store

    def apply(self, change: Change) -> None:
        """Commit. Raises OSError, apsw.Error; damage and failed syncs have been dealt with by then."""
        try:
            self.ready().apply(change)
        except DAMAGE as error:
            self._repair(error)
            raise
        except apsw.IOError as error:
            if _is_failed_sync(error):
                self._distrust(error, forget=[int(row[0] or 0) for row in change.inserts])
            raise

    def read(self, function: Callable[[Store], T]) -> T:
        """Run `function` on the store. Raises SpoolError."""
        try:
            return function(self.ready())
        except DAMAGE as error:
            self._repair(error)
            raise SpoolError(f"the spool was damaged ({error}) and has been repaired: try again") from error
        except (apsw.Error, OSError) as error:
            raise SpoolError(f"the spool cannot be read: {error}") from error

    def checkpoint(self) -> None:
        """Never raises: what cannot be checkpointed stays in the WAL."""
        try:
            if self.store is not None:
                self.store.checkpoint()
        except DAMAGE as error:
            self._repair(error)
        except apsw.IOError as error:
            if _is_failed_sync(error):
                self._distrust(error, forget=[])
        except (apsw.Error, OSError) as error:
            self.problems = (*self.problems[-9:], f"a checkpoint failed, it will be tried again: {error}")

    def close(self) -> None:
        """Close the store if there is one."""
        if self.store is not None:
            self.store.close()
            self.store = None

    def _distrust(self, error: Exception, *, forget: list[int]) -> None:
        """What the WAL holds beyond its last good sync is unknown, so nothing more is added to it.

        The kernel reports a failed write-back once and then forgets the pages: a repeated sync that succeeds
        proves nothing. All that can be read goes to a new file. `forget` was refused to its clients.
        """
        self.trouble = f"a sync failed ({error}); the spool is being rewritten"
        reason = f"a sync failed: {error}"

        def again() -> Opened:
            opened = rebuild(self._place, reason, is_damaged=False)
            if forget:
                opened.store.apply(Change(deletes=forget))
            return opened

        self._replace(again)

    def _repair(self, error: Exception) -> None:
        self.trouble = f"the database is damaged ({error}); what can be read is being saved"
        reason = self.trouble
        self._replace(lambda: rebuild(self._place, reason, is_damaged=True))

    def _replace(self, again: Callable[[], Opened]) -> None:
        self.close()
        self._again = again
        self.retry()

    def retry(self) -> None:
        """Try once more to get a sound store, if there is none."""
        if self._again is None:
            return
        try:
            opened = self._again()
        except (apsw.Error, OSError, SpoolError) as error:
            self.trouble = f"the spool cannot be rewritten, tried again every second: {error}"
            return
        self._again = self.trouble = None
        self._adopt(opened)
        self._on_rebuilt(opened.store.listed())

    def _adopt(self, opened: Opened) -> None:
        self.store = opened.store
        self.problems = (*self.problems[-9:], *opened.problems)


def _is_failed_sync(error: apsw.Error) -> bool:
    return getattr(error, "extendedresult", 0) in _SYNC_FAILED  # apsw sets it; its types do not tell
