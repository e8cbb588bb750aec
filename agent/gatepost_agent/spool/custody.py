"""The store in good days and bad: what is done when a sync fails or the file turns out to be damaged.

Belongs to the writer's thread; the loop only reads `trouble`, `problems` and the store's figures.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        self._reason: str | None = None  # why the store must be rewritten
        self._distrusted: Store | None = None  # open to be read, never to be written
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
        with self._watched():
            self.ready().apply(change)

    def read(self, function: Callable[[Store], T]) -> T:
        """Run `function` on the store; it may also change it. Raises SpoolError."""
        try:
            with self._watched():
                return function(self.ready())
        except DAMAGE as error:
            raise SpoolError(f"the spool was damaged ({error}) and is being repaired: try again") from error
        except (apsw.Error, OSError) as error:
            raise SpoolError(f"the spool's disk has trouble: {error}") from error

    def checkpoint(self, *, truncate: bool = False) -> None:
        """Never raises: what cannot be checkpointed stays in the WAL."""
        try:
            with self._watched():
                self.ready().checkpoint(truncate=truncate)
        except (apsw.Error, OSError) as error:
            self.problems = (*self.problems[-9:], f"a checkpoint failed, it will be tried again: {error}")

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            self._repair(error)
            raise
        except apsw.IOError as error:
            if _is_failed_sync(error):
                self._distrust(error)
            raise

    def close(self) -> None:
        """Close what is open."""
        self._close_store()
        self._close_distrusted()

    def _close_distrusted(self) -> None:
        if self._distrusted is not None:
            self._distrusted.close()
            self._distrusted = None

    def _close_store(self) -> None:
        if self.store is not None:
            self.store.close()
            self.store = None

    def _distrust(self, error: Exception) -> None:
        """What the WAL holds beyond its last good sync is unknown, so nothing more is added to it.

        The kernel reports a failed write-back once and then forgets the pages: a repeated sync that succeeds
        proves nothing. What this connection still sees, the state before the failed transaction, goes to a new file.
        """
        self.trouble = f"a sync failed ({error}); the spool is being rewritten"
        store, self.store = self.store, None
        self._replace(f"a sync failed: {error}", store)

    def _repair(self, error: Exception) -> None:
        self.trouble = f"the database is damaged ({error}); what can be read is being saved"
        self._close_store()
        self._replace(f"the database is damaged: {error}", None)

    def _replace(self, reason: str, distrusted: Store | None) -> None:
        self._reason, self._distrusted = reason, distrusted
        self.retry()

    def retry(self) -> None:
        """Try once more to get a sound store, if there is none."""
        if self._reason is None:
            return
        try:
            opened = rebuild(self._place, self._reason, self._distrusted)
        except (apsw.Error, OSError, SpoolError) as error:
            self.trouble = f"the spool cannot be rewritten, tried again every second: {error}"
            return
        self._close_distrusted()
        self._reason = self.trouble = None
        self._adopt(opened)
        self._on_rebuilt(opened.store.listed())

    def _adopt(self, opened: Opened) -> None:
        self.store = opened.store
        self.problems = (*self.problems[-9:], *opened.problems)


def _is_failed_sync(error: apsw.Error) -> bool:
    return getattr(error, "extendedresult", 0) in _SYNC_FAILED  # apsw sets it; its types do not tell
