"""Delivery's side: what is due, and what became of it."""

import asyncio
from collections.abc import Iterable

from gatepost_agent.spool.changes import Change, add_counts
from gatepost_agent.spool.checksum import crc32
from gatepost_agent.spool.codec import to_update
from gatepost_agent.spool.core import Core
from gatepost_agent.spool.errors import SpoolClosed, SpoolError
from gatepost_agent.spool.messages import Bounce, Kind, Outcome, QueuedMessage
from gatepost_agent.spool.outcomes import Settled, settled
from gatepost_agent.spool.receiving import Receiver, insertion

_WAKE_S = 30.0  # the clock on the wall may jump: look again now and then
_TAKE_MAX = 200  # read from the disk in one go
_TROUBLE_PAUSE_S = 1.0


class HandingOver:
    """Hands messages to delivery and takes the outcomes."""

    def __init__(self, core: Core, receiver: Receiver, *, is_open: bool) -> None:
        self._core = core
        self._receiver = receiver
        self._is_open = is_open

    def open(self) -> None:
        """See Spool.start_delivery."""
        self._is_open = True
        self._core.due.set()

    async def take(self, limit: int) -> tuple[QueuedMessage, ...]:
        """See Spool.take."""
        while True:
            now, most = self._core.clock(), min(limit, _TAKE_MAX)
            ids = self._core.schedule.take_due(now, most) if self._is_open else []
            if not ids:
                await self._until_due()
            elif messages := await self._load(ids):
                return messages

    async def _until_due(self) -> None:
        self._core.due.clear()
        next_due = self._core.schedule.next_due() if self._is_open else None
        wait_s = _WAKE_S if next_due is None else min(_WAKE_S, max(0.0, next_due - self._core.clock()))
        try:
            async with asyncio.timeout(wait_s):
                await self._core.due.wait()
        except TimeoutError:
            return

    async def _load(self, ids: list[int]) -> tuple[QueuedMessage, ...]:
        resident = self._core.resident
        found = {queue_id: kept[0] for queue_id in ids if (kept := resident.get(queue_id))}
        absent = [queue_id for queue_id in ids if queue_id not in found]
        if absent:
            found |= await self._load_from_store(absent)
        messages = tuple(found[queue_id] for queue_id in ids if queue_id in found)
        self._core.taken |= {message.id: message for message in messages}
        return messages

    async def _load_from_store(self, ids: list[int]) -> dict[int, QueuedMessage]:
        try:
            loaded = await self._core.writer.call(lambda store: store.load(ids))
        except SpoolClosed:
            raise
        except SpoolError:
            self._give_back(ids)
            await asyncio.sleep(_TROUBLE_PAUSE_S)
            return {}
        except asyncio.CancelledError:
            self._give_back(ids)
            raise
        for message, body in loaded:
            self._core.resident.offer(message, body)
        found = {message.id: message for message, _ in loaded}
        for queue_id in set(ids) - found.keys():
            self._core.schedule.remove(queue_id)  # its row is unreadable: `check` shows it
        return found

    def _give_back(self, ids: Iterable[int]) -> None:
        for queue_id in ids:
            self._core.schedule.give_back(queue_id)

    def put_back(self, queue_id: int, next_attempt: float) -> None:
        """See Spool.put_back."""
        if self._core.taken.pop(queue_id, None) is not None:
            self._core.resident.drop(queue_id)
            self._core.schedule.give_back(queue_id, next_attempt)
            self._core.due.set()

    async def settle(
        self, queue_id: int, outcomes: Iterable[Outcome], next_attempt: float | None, bounce: Bounce | None
    ) -> QueuedMessage | None:
        """See Spool.settle."""
        message = self._core.taken.get(queue_id)
        if message is None or queue_id in self._core.leaving:
            return None
        keep_until = self._core.clock() + self._core.limits.keep_s
        result = settled(message, outcomes, next_attempt=next_attempt, keep_until=keep_until)
        change = Change(counts=result.counts)
        if result.message is None:
            change.deletes.append(queue_id)
        else:
            change.updates[queue_id] = to_update(result.message)
        report = self._add_bounce(change, bounce) if bounce else None

        def on_stored() -> QueuedMessage | None:
            if bounce and report:
                self._core.stored(report, bounce.body)
            return self._after(message, result, next_attempt)

        return await self._core.submit(change, on_stored, must=True)

    def _add_bounce(self, change: Change, bounce: Bounce) -> QueuedMessage:
        draft = self._receiver.draft(bounce.envelope, Kind.BOUNCE)
        report = draft._replace(message_id=bounce.message_id, size=len(bounce.body), crc32=crc32(bounce.body))
        added = insertion(report, bounce.body)
        change.inserts += added.inserts
        change.bodies += added.bodies
        add_counts(change.counts, added.counts)
        return report

    def _after(
        self, before: QueuedMessage, result: Settled, next_attempt: float | None
    ) -> QueuedMessage | None:
        message = result.message
        if message is None:
            self._core.gone([before])
            return None
        if message.keep_until is not None:
            self._core.left_queue(message)
            return None
        if next_attempt is None:
            self._core.taken[message.id] = message
        else:
            self.put_back(message.id, next_attempt)
        return message
