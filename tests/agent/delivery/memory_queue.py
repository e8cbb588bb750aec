"""A queue in memory with the spool's behaviour towards delivery: due times, custody, settlement by recipient."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from gatepost_agent.spool.errors import DamagedBody
from gatepost_agent.spool.messages import Bounce, Outcome, QueuedMessage, RecipientStatus, Result
from tests.agent.delivery.samples import BODY

_STATUS = {
    Result.DONE: RecipientStatus.DONE,
    Result.NEVER: RecipientStatus.FAILED,
    Result.EXPIRED: RecipientStatus.EXPIRED,
    Result.NOT_NOW: RecipientStatus.PENDING,
}


class MemoryQueue:
    """`clock` is seconds since the epoch; `add` messages, look at `settled`, `put_backs`, `bounces`.

    unread: what the first reading of a message's body fails with.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._bodies: dict[int, bytes | None] = {}
        self._changed = asyncio.Event()
        self._taken: set[int] = set()
        self.waiting: dict[int, QueuedMessage] = {}
        self.settled: list[tuple[int, tuple[Outcome, ...]]] = []
        self.put_backs: list[tuple[int, float]] = []
        self.bounces: list[Bounce] = []
        self.unread: dict[int, Exception] = {}

    def add(self, message: QueuedMessage, body: bytes | None = BODY) -> None:
        """Queue a message; body None: damaged on disk."""
        self._bodies[message.id] = body
        self.waiting[message.id] = message
        self.look_again()

    def look_again(self) -> None:
        """The clock was moved, or an operator did something."""
        self._changed.set()

    def outcomes(self, number: int) -> list[tuple[str, Result]]:
        """All outcomes of a message, in order."""
        return [(o.recipient, o.result) for settled, rows in self.settled if settled == number for o in rows]

    async def take(self, limit: int) -> tuple[QueuedMessage, ...]:
        while True:
            due = [
                m
                for m in sorted(self.waiting.values(), key=lambda m: m.next_attempt)
                if m.id not in self._taken and m.next_attempt <= self._clock()
            ][:limit]
            if due:
                self._taken.update(m.id for m in due)
                return tuple(due)
            self._changed.clear()
            await self._changed.wait()

    def put_back(self, queue_id: int, next_attempt: float) -> None:
        self.put_backs.append((queue_id, next_attempt))
        self._taken.discard(queue_id)
        self.waiting[queue_id] = self.waiting[queue_id]._replace(next_attempt=next_attempt)
        self.look_again()

    async def body(self, message: QueuedMessage) -> AsyncGenerator[bytes, None]:
        if (error := self.unread.pop(message.id, None)) is not None:
            raise error
        stored = self._bodies[message.id]
        if stored is None:
            yield BODY
            raise DamagedBody("the checksum is another")
        yield stored

    async def settle(
        self,
        queue_id: int,
        outcomes: Sequence[Outcome],
        next_attempt: float | None = None,
        bounce: Bounce | None = None,
    ) -> QueuedMessage | None:
        if queue_id not in self.waiting:
            return None
        assert queue_id in self._taken
        assert next_attempt is not None
        self.settled.append((queue_id, tuple(outcomes)))
        if bounce is not None:
            self.bounces.append(bounce)
        status = {o.recipient: _STATUS[o.result] for o in outcomes}
        message = self.waiting[queue_id]
        message = message._replace(
            recipients=tuple(
                r._replace(status=status.get(r.address, r.status), attempts=r.attempts + 1)
                for r in message.recipients
            ),
            attempts=message.attempts + 1,
            next_attempt=next_attempt,
        )
        self._taken.discard(queue_id)
        if message.pending:
            self.waiting[queue_id] = message
            self.look_again()
            return message
        del self.waiting[queue_id]
        return None
