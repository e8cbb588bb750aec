"""The one thread that touches the database: everything that waits becomes one transaction.

It shares the interpreter lock with the event loop, so a group costs a fixed number of SQLite calls, however many
callers it serves.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, TypeVar

import apsw

from gatepost_agent.spool.changes import Change, merged
from gatepost_agent.spool.custody import Custody
from gatepost_agent.spool.errors import NotStored, SpoolClosed, SpoolError
from gatepost_agent.spool.opening import DAMAGE, Place
from gatepost_agent.spool.schema import PAGE_LIMIT_WAL
from gatepost_agent.spool.store import Listed, Store
from gatepost_agent.spool.turns import Turns

T = TypeVar("T")

_GROUP_MAX = 128  # callers: bounds the statements that SQLite keeps prepared
_GROUP_OCTETS = 8 * 1024 * 1024
_LINGER_S = 0.01  # outcomes alone wait as long for new mail to share a sync with: nobody waits for them
_IDLE_S = 0.5
_IDLE_PAGES = 250  # a smaller WAL is not worth the two syncs of a checkpoint
_TROUBLE_PAUSE_S = 1.0

_DISK = (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.NoMemError, apsw.BusyError, OSError, *DAMAGE)


class Submitted:
    """A change on its way. `done(error)` runs on the loop, whoever still waits: the disk decides, not the caller.

    must: a change that reports what has already happened outside (an outcome) waits for the disk to recover; the
    others (new mail) are refused at once.
    """

    __slots__ = ("change", "done", "error", "must")

    def __init__(self, change: Change, done: Callable[[SpoolError | None], None], *, must: bool) -> None:
        self.change = change
        self.done = done
        self.must = must
        self.error: SpoolError | None = None


class _Call:
    __slots__ = ("error", "function", "future", "value")

    def __init__(self, function: Callable[[Store], Any], future: "asyncio.Future[Any]") -> None:
        self.function = function
        self.future = future
        self.value: Any = None
        self.error: BaseException | None = None


class _Close:
    pass


_Item = Submitted | _Call | _Close


class Writer:
    """Begins with `open`; the store is its own from then on."""

    def __init__(self, place: Place, on_rebuilt: Callable[[list[Listed]], None]) -> None:
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._next: _Item | None = None  # taken from the queue while a group was gathered
        self._owed: list[Submitted] = []  # outcomes that the disk would not take yet
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._is_closing = False
        self.turns = Turns()
        self.custody = Custody(place, lambda listed: self._tell(on_rebuilt, listed))

    # -- on the loop

    async def open(self) -> None:
        """Open the store in the thread. Raises SpoolInUse, VersionRefused, SpoolError."""
        self._thread.start()
        await self._started

    @property
    def blocked(self) -> str | None:
        """Why new mail would not be stored, None if it would."""
        if self.custody.trouble is None and self._owed:
            return "the disk does not take the outcomes of deliveries"
        return self.custody.trouble

    def submit(self, item: Submitted) -> None:
        """Put a change in the next group. Raises SpoolClosed."""
        self._put(item)

    async def call(self, function: Callable[[Store], T]) -> T:
        """Run `function` in the thread, after what was submitted before. Raises SpoolError."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._put(_Call(function, future))
        return await future

    async def close(self) -> None:
        """Do what was submitted, then close."""
        if not self._is_closing:
            self._put(_Close())
            self._is_closing = True
        await asyncio.shield(self._ended)
        self._thread.join()

    def _put(self, item: _Item) -> None:
        if self._is_closing:
            raise SpoolClosed("the spool is closed")
        self._queue.put(item)

    # -- in the thread

    def _run(self) -> None:
        try:
            self.custody.open()
        except SpoolError as error:
            self._tell(self._not_started, error)
            return
        self._tell(self._started.set_result, None)
        try:
            self._serve()
        finally:
            self.custody.close()
            self._tell(self._ended.set_result, None)

    def _not_started(self, error: SpoolError) -> None:
        self._is_closing = True
        self._ended.set_result(None)
        self._started.set_exception(error)

    def _tell(self, function: Callable[..., Any], *values: Any) -> None:
        if not self._loop.is_closed():  # a loop that ended early has nobody left to tell
            self._loop.call_soon_threadsafe(function, *values)

    def _serve(self) -> None:
        while not isinstance(item := self._wait(), _Close):
            if isinstance(item, _Call):
                self._answer(item)
            elif item is not None:
                self._commit(self._gather(item))
            self._tidy(idle=item is None)
        self._finish()

    def _wait(self) -> _Item | None:
        if self._next is not None:
            item, self._next = self._next, None
            return item
        try:
            return self._queue.get(timeout=self._patience())
        except Empty:
            return None

    def _patience(self) -> float | None:
        if self.blocked:
            return _TROUBLE_PAUSE_S
        return _IDLE_S if self._wal_pages() > _IDLE_PAGES else None

    def _wal_pages(self) -> int:
        store = self.custody.store
        return store.wal_pages if store else 0

    def _gather(self, first: Submitted) -> list[Submitted]:
        group, octets, until = [first], first.change.weight, monotonic() + _LINGER_S
        lingers = first.must
        while len(group) < _GROUP_MAX and octets < _GROUP_OCTETS:
            try:
                item = self._queue.get(timeout=max(0.0, until - monotonic()) if lingers else 0.0)
            except Empty:
                break
            if not isinstance(item, Submitted):
                self._next = item
                break
            lingers = lingers and item.must
            group.append(item)
            octets += item.change.weight
        return group

    def _commit(self, group: list[Submitted]) -> None:
        try:
            with self.turns.commit():
                self.custody.apply(merged(item.change for item in group))
        except (apsw.Error, OSError, ValueError, TypeError, OverflowError) as error:
            if len(group) == 1:
                self._refuse(group[0], error)
                return
        else:
            self._report(group)
            return
        for item in group:  # one bad row, or a disk that fills up, must not take the others with it
            self._commit([item])

    def _refuse(self, item: Submitted, error: Exception) -> None:
        if item.must and isinstance(error, _DISK):
            self._owed.append(item)
            return
        is_full = isinstance(error, apsw.FullError)
        item.error = NotStored("full" if is_full else "trouble", f"not written: {error!r}")
        self._report([item])

    def _report(self, group: list[Submitted]) -> None:
        self._tell(_finish_all, group)
        self._place.fault("group-answered")

    def _answer(self, call: _Call) -> None:
        try:
            call.value = self.custody.read(call.function)
        except Exception as error:  # noqa: BLE001 - it belongs to the caller, on the other thread
            call.error = error
        self._tell(_answer_call, call)

    def _tidy(self, *, idle: bool) -> None:
        if idle:
            self.custody.retry()
            owed, self._owed = self._owed, []
            if owed:
                self._commit(owed)
        if self._wal_pages() > (_IDLE_PAGES if idle else PAGE_LIMIT_WAL):
            self.custody.checkpoint()

    def _finish(self) -> None:
        self._tidy(idle=True)
        if self.custody.store is not None:
            self.custody.checkpoint(truncate=True)  # at rest, the one file is all there is
        for item in self._owed:
            item.error = NotStored("trouble", "the spool was closed before the disk recovered")
        self._report(self._owed)


def _finish_all(group: list[Submitted]) -> None:
    for item in group:
        item.done(item.error)


def _answer_call(call: _Call) -> None:
    if call.future.cancelled():
        return
    if call.error is not None:
        call.future.set_exception(call.error)
    else:
        call.future.set_result(call.value)
