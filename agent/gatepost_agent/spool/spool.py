"""The spool as the SMTP shell, delivery and the queue commands see it, on one event loop."""

import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Self

from gatepost.policy.dialogue.decision import Envelope
from gatepost_agent.spool.bodies import Bodies
from gatepost_agent.spool.check import Checked, check
from gatepost_agent.spool.core import Core
from gatepost_agent.spool.desk import Desk
from gatepost_agent.spool.disk import Disk, RealDisk
from gatepost_agent.spool.faults import Fault, no_fault
from gatepost_agent.spool.handing_over import HandingOver
from gatepost_agent.spool.incoming import Incoming
from gatepost_agent.spool.messages import (
    Bounce,
    Counts,
    Outcome,
    QueuedMessage,
    Room,
    SpoolLimits,
    SpoolStatus,
)
from gatepost_agent.spool.opening import Place
from gatepost_agent.spool.reading import read_body
from gatepost_agent.spool.receiving import Receiver
from gatepost_agent.spool.transfer import Imported, export_messages, import_messages

_DEFAULT_LIMITS = SpoolLimits()


class Spool:
    """The durable queue. Made by `open`; every method belongs to the loop that opened it."""

    def __init__(self, core: Core, *, hold_queue: bool) -> None:
        self._core = core
        self._counts = Counts("", {})
        self._receiver = Receiver(core)
        self._handing_over = HandingOver(core, self._receiver, is_open=not hold_queue)
        self._desk = Desk(core)

    @classmethod
    async def open(
        cls,
        folder: Path,
        limits: SpoolLimits = _DEFAULT_LIMITS,
        *,
        hold_queue: bool = False,
        clock: Callable[[], float] = time.time,
        disk: Disk | None = None,
        synchronous: str = "full",
        fault: Fault = no_fault,
    ) -> Self:
        """Open or create the spool in `folder`, which is made if missing; repairs what can be repaired.

        With `hold_queue`, nothing is handed to delivery until `start_delivery`. The last three arguments are for
        tests that make the disk fail: nothing but "full" keeps what was promised. Raises SpoolInUse,
        VersionRefused, SpoolError.
        """
        disk = disk or RealDisk()
        place = Place(folder, disk, Bodies(disk, folder / "bodies", fault), synchronous, fault)
        core = Core(place, limits, clock)
        try:
            await core.open()
        except BaseException:
            await core.close()
            raise
        return cls(core, hold_queue=hold_queue)

    async def close(self) -> None:
        """Commit what was submitted, then close."""
        await self._core.close()

    # -- receiving (the SMTP shell)

    def room(self, size_hint: int = 0) -> Room:
        """May a message of `size_hint` octets come in? To be asked before data is taken; costs microseconds.

        "full" (count, octets or free disk) is `452 4.3.1`, "trouble" (the disk fails) 451; both end by themselves.
        """
        return self._receiver.room(size_hint)

    def free(self) -> int:
        """Octets that may still come in; below 0 when the spool is over its bounds."""
        return self._receiver.free()

    def fill(self) -> float:
        """What part of the spool is taken, by count or by octets, whichever is more: 0 to 1, and over."""
        return self._receiver.fill()

    def begin(self, envelope: Envelope) -> Incoming:
        """Begin to receive. Raises NotStored when there is no room."""
        return self._receiver.begin(envelope)

    # -- delivery

    async def take(self, limit: int) -> tuple[QueuedMessage, ...]:
        """Wait until something is due, then take up to `limit` messages, longest due first.

        A taken message is not handed out again until `settle` or `put_back`.
        """
        return await self._handing_over.take(limit)

    def put_back(self, queue_id: int, next_attempt: float) -> None:
        """Return a taken message that was not attempted. Not written down: after a restart it is due again."""
        self._handing_over.put_back(queue_id, next_attempt)

    def body(self, message: QueuedMessage) -> AsyncGenerator[bytes, None]:
        """The body as received, in blocks of at most 128 KiB; no disk is read if it is small and new.

        Raises DamagedBody (perhaps at the end: no final dot may be sent before the iterator has ended), SpoolError.
        """
        return read_body(self._core, message)

    async def settle(
        self,
        queue_id: int,
        outcomes: Iterable[Outcome],
        next_attempt: float | None = None,
        bounce: Bounce | None = None,
    ) -> QueuedMessage | None:
        """Record what an attempt did; durable on return. Counts and `bounce` go into the same transaction.

        Recipients that are not named stay as they are. With recipients still pending, the message as it now
        stands is returned; it waits for `next_attempt`, or, without one, stays taken (others of its recipients are
        being tried). With none pending it is gone (all DONE) or kept for operators, and None is returned, as for
        a message that is not taken or was deleted meanwhile. While the disk has trouble this waits for it; the
        outcome is written in any case, also if the caller is cancelled. Raises SpoolError.
        """
        return await self._handing_over.settle(queue_id, outcomes, next_attempt, bounce)

    def start_delivery(self) -> None:
        """End `hold_queue`."""
        self._handing_over.open()

    # -- operators

    def messages(self, *, kept: bool = False) -> AsyncIterator[QueuedMessage]:
        """All queued (or all failed and expired) messages by id, read page by page."""
        return self._desk.messages(kept=kept)

    async def get(self, queue_id: int) -> QueuedMessage:
        """One message, queued or kept. Raises NoSuchMessage."""
        return await self._desk.get(queue_id)

    async def hold(self, ids: Iterable[int]) -> int:
        """Deliver them no more until released; returns how many of them are queued."""
        return await self._desk.set_held(ids, held=True)

    async def release(self, ids: Iterable[int]) -> int:
        """Undo `hold`; returns how many of them are queued."""
        return await self._desk.set_held(ids, held=False)

    async def retry(self, ids: Iterable[int]) -> int:
        """Make them due now; failed and expired ones are queued again. Returns how many there are."""
        return await self._desk.retry(ids)

    async def delete(self, ids: Iterable[int]) -> int:
        """Delete them, queued or kept; returns how many there were."""
        return await self._desk.delete(ids)

    async def purge(self) -> int:
        """Delete failed and expired mail that was kept for `keep_s`; to be called every few minutes."""
        return await self._desk.purge()

    def export(self, ids: Iterable[int]) -> AsyncIterator[bytes]:
        """The messages as a stream (transfer.py has its format); they stay. Raises NoSuchMessage."""
        return export_messages(self._core, ids)

    async def import_(self, blocks: AsyncIterable[bytes]) -> Imported:
        """Add what `export` gave, here or on another host; what came before is left out.

        Raises Unreadable, and NotStored when there is no room: what was added stays, import the whole again.
        """
        return await import_messages(self._core, self._receiver, blocks)

    async def check(self) -> list[str]:
        """What is wrong with the spool, as sentences."""
        return [problem async for so_far in self.checking() for problem in so_far.problems]

    def checking(self) -> AsyncGenerator[Checked, None]:
        """`check`, telling how far it has come. It reads all that is there when it begins.

        Commits wait for a few milliseconds at a time, and longer while SQLite compares the database's own pages.
        """
        return check(self._core)

    # -- figures

    def counts(self) -> Counts:
        """Committed totals; exact over a crash or power cut."""
        if store := self._core.writer.custody.store:  # none while it is being rewritten
            self._counts = Counts(store.store_id, store.totals)
        return self._counts

    def status(self) -> SpoolStatus:
        """Numbers for health and metrics."""
        schedule, custody = self._core.schedule, self._core.writer.custody
        store, trouble = custody.store, custody.trouble  # the writer's thread may change them meanwhile
        return SpoolStatus(
            queued=len(schedule.queued) - schedule.held,
            held=schedule.held,
            kept=len(schedule.kept),
            bytes=schedule.bytes,
            oldest_received_at=schedule.oldest(),
            room=self.room(),
            problems=custody.problems + ((trouble,) if trouble else ()),
            transactions=store.groups if store else 0,
            commit_s=store.commit_s if store else 0.0,
        )
