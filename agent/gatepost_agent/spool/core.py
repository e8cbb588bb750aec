"""What receiving, delivery and operators share: the writer, the index and the messages in memory. On the loop."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from gatepost_agent.spool.bodies import Bodies
from gatepost_agent.spool.changes import Change
from gatepost_agent.spool.errors import SpoolError
from gatepost_agent.spool.messages import QueuedMessage, SpoolLimits
from gatepost_agent.spool.opening import Place
from gatepost_agent.spool.resident import Resident
from gatepost_agent.spool.schedule import Schedule
from gatepost_agent.spool.store import Listed, Store
from gatepost_agent.spool.writer import Submitted, Writer

T = TypeVar("T")

_BODY_WORKERS = 4  # more than one is at work only while the disk is slow


class Core:
    """The index follows the store: it is changed when the writer has reported, whoever asked and still waits."""

    def __init__(self, place: Place, limits: SpoolLimits, clock: Callable[[], float]) -> None:
        self.place = place
        self.limits = limits
        self.clock = clock
        self.bodies: Bodies = place.bodies
        self.schedule = Schedule()
        self.resident = Resident(limits.resident_bytes)
        self.taken: dict[int, QueuedMessage] = {}  # with delivery
        self.leaving: set[int] = set()  # an operator's delete is on its way
        self.due = asyncio.Event()  # something may have become due
        self.workers = ThreadPoolExecutor(_BODY_WORKERS, thread_name_prefix="spool-body")
        self.writer = Writer(place, self._rebuilt)
        self.last_id_at_open = 0
        self._owned: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Open the store and load the index. Raises SpoolError."""
        await self.writer.open()
        self.schedule.load(await self.writer.call(Store.listed))
        self.last_id_at_open = await self.writer.call(Store.last_id)

    async def close(self) -> None:
        """Let what is under way end, then close."""
        while self._owned:
            await asyncio.wait(self._owned)
        await self.writer.close()
        self.workers.shutdown()

    def own(self, work: Coroutine[None, None, T], name: str) -> "asyncio.Task[T]":
        """Run `work` to its end even if nobody waits for it; `close` does."""
        task = asyncio.create_task(work, name=name)
        self._owned.add(task)
        task.add_done_callback(self._disown)
        return task

    def _disown(self, task: "asyncio.Task[T]") -> None:
        self._owned.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits gets it; if nobody does, it is not an error of the loop's

    def submit(
        self, change: Change, on_stored: Callable[[], T], *, must: bool = False
    ) -> "asyncio.Future[T]":
        """Commit `change` with whatever else waits; then `on_stored` runs and its value is the result.

        With `must`, waits for a disk that has trouble; see Submitted.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def done(error: SpoolError | None) -> None:
            if error is not None:
                _fail(future, error)
                return
            value = on_stored()
            if not future.cancelled():
                future.set_result(value)

        self.writer.submit(Submitted(change, done, must=must))
        return future

    def stored(self, message: QueuedMessage, body: bytes | None) -> None:
        """A message is in the queue: delivery may have it."""
        if message.keep_until is not None:  # imported
            self.schedule.keep(message.id, message.size)
            return
        self.schedule.add(
            message.id, message.next_attempt, message.received_at, message.size, held=message.held
        )
        self.resident.offer(message, body)
        self.due.set()

    def gone(self, messages: Iterable[QueuedMessage]) -> None:
        """Messages are no longer in the store."""
        files = []
        for message in messages:
            self.taken.pop(message.id, None)
            self.leaving.discard(message.id)
            self.resident.drop(message.id)
            self.schedule.remove(message.id)
            if message.body_at is not None:
                files.append(message.id)
        if files:
            self.own(self._remove_files(files), "spool-unlink")

    async def _remove_files(self, ids: list[int]) -> None:
        # Should it fail: a file without a row goes at the next start.
        await asyncio.get_running_loop().run_in_executor(self.workers, self.bodies.remove, ids)

    def left_queue(self, message: QueuedMessage) -> None:
        """A message failed or expired: only operators see it now."""
        self.taken.pop(message.id, None)
        self.resident.drop(message.id)
        self.schedule.remove(message.id)
        self.schedule.keep(message.id, message.size)

    def back_in_queue(self, message: QueuedMessage) -> None:
        """A kept message is queued again."""
        self.schedule.remove(message.id)
        self.stored(message, None)

    def _rebuilt(self, listed: list[Listed]) -> None:
        self.schedule.load(listed)
        self.due.set()


def _fail(future: "asyncio.Future[T]", error: SpoolError) -> None:
    if not future.cancelled():
        future.set_exception(error)
        future.exception()  # a caller that is gone does not make it the loop's error
