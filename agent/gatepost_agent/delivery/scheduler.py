"""The scheduler: takes due messages from the spool, has them attempted, settles what became of them.

Outcomes per recipient are done, not now and never; unsure is not now. A message that only met resting next hops is
put back without an attempt and without a write. Everything else is settled durably before the message may be taken
again, so that a recipient who has it does not get it twice.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Protocol

from gatepost.policy.dialogue.routing import NoRoute
from gatepost_agent.delivery.attempting import Attempted, attempt_message
from gatepost_agent.delivery.attempts import log_attempts
from gatepost_agent.delivery.bounces import HEADERS_MOST, Bounces, header_block
from gatepost_agent.delivery.job import Attempt
from gatepost_agent.delivery.pace import retry_after_s
from gatepost_agent.delivery.pool import Pool
from gatepost_agent.delivery.routing import Routing
from gatepost_agent.delivery.turns import Turns
from gatepost_agent.mail_events import mail_events
from gatepost_agent.spool.errors import NoSuchMessage, SpoolClosed, SpoolError
from gatepost_agent.spool.messages import Bounce, Outcome, QueuedMessage, Result

IN_FLIGHT = 300  # messages under way at one time
RESERVE = 300  # as many more, for mail to other next hops, when those under way come to no end
LOOK_S = 0.25  # how often the reserve may be used
SLOW = 50  # fewer than this come to an end in that time
SETTLE_S = 10.0  # at the end: for the last settlements
FAILED_S = 60.0  # until a message that met a bug of ours is tried again


class Queue(Protocol):
    """What delivery needs of the spool (see spool/README.md)."""

    async def take(self, limit: int) -> tuple[QueuedMessage, ...]:
        """Messages that are due."""

    def put_back(self, queue_id: int, next_attempt: float) -> None:
        """Not attempted."""

    def body(self, message: QueuedMessage) -> AsyncGenerator[bytes, None]:
        """The message's octets."""

    async def settle(
        self,
        queue_id: int,
        outcomes: Sequence[Outcome],
        next_attempt: float | None = None,
        bounce: Bounce | None = None,
    ) -> QueuedMessage | None:
        """What became of it; durable on return, and written even if we are cancelled."""


class Delivery:
    """See the module. `run` it in a task; `configure` at any time, from the same loop."""

    def __init__(
        self,
        queue: Queue,
        pool: Pool,
        routing: Routing,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float] = random.random,
        log_attempts: Callable[[QueuedMessage, Sequence[Attempt], float], None] = log_attempts,
        in_flight: int = IN_FLIGHT,
        reserve: int = RESERVE,
    ) -> None:
        """`clock` gives seconds since the epoch, as the spool's does."""
        self.bounces = Bounces(clock=clock)
        self.delivered_at: float | None = None  # when a recipient last got a message; for health
        self._queue = queue
        self._pool = pool
        self._routing = routing
        self._clock = clock
        self._chance = chance
        self._log_attempts = log_attempts
        self._most = in_flight
        self._reserve = reserve
        self._ends = 0  # attempts that came to an end since the last look
        self._looks_at = 0.0
        self._turns = Turns()
        self._under_way: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()

    def configure(self, routing: Routing) -> None:
        """Use another routing from the next attempt on; attempts under way end as they began."""
        self._routing = routing
        self._turns = Turns()

    def hops(self, recipient: str) -> dict[str, str]:
        """The next hops that a recipient's mail may go to now, with why each rests ("" when it does not)."""
        route = self._routing.find(recipient)
        if isinstance(route, NoRoute):
            return {}
        exits = self._routing.exits
        return {str(hop): self._pool.why_resting(exits[hop.connector], hop) for hop in route.hops}

    async def run(self, stopping: asyncio.Event, *, drain_s: float = 10.0) -> None:
        """Deliver until `stopping` is set; then let attempts under way end for at most drain_s seconds."""
        taking = asyncio.create_task(self._take_and_attempt(), name="delivery takes")
        stop = asyncio.create_task(stopping.wait(), name="delivery waits for the end")
        try:
            await asyncio.wait((taking, stop), return_when=asyncio.FIRST_COMPLETED)
            if taking.done():
                taking.result()  # the spool is closed, or a bug: the owner must know
            taking.cancel()
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=drain_s)
        finally:
            taking.cancel()
            stop.cancel()
            await self._pool.stop()  # refuses what waits; those attempts then settle or are put back
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=SETTLE_S)
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(taking, stop, *self._under_way, return_exceptions=True)

    async def _take_and_attempt(self) -> None:
        while True:
            while not (free := self._free()):
                self._room.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._room.wait()
            messages = await self._queue.take(free)
            self._heed_retries(messages)
            for message in messages:
                task = asyncio.create_task(self._attempt(message), name="delivery attempt")
                self._under_way.add(task)
                task.add_done_callback(self._ended)

    def _heed_retries(self, messages: Sequence[QueuedMessage]) -> None:
        """An operator's retry means now: a next hop that rests since before it is dialled again."""
        retries = [at for message in messages if (at := message.retried_at) is not None]
        if retries:
            self._pool.end_rests(self._pool.clock() - (self._clock() - max(retries)))

    def _free(self) -> int:
        """How many messages to take. When those under way are stuck, a look past them at what else is due."""
        free = self._most - len(self._under_way)
        now = asyncio.get_running_loop().time()
        if free > 0 or now < self._looks_at:
            return max(0, free)
        # Only what came to an end in the last LOOK_S counts, not what did in a quiet hour before.
        slow = self._ends < SLOW and now < self._looks_at + LOOK_S
        self._ends, self._looks_at = 0, now + LOOK_S
        return max(0, free + self._reserve) if slow else 0

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._ends += 1
        self._room.set()

    async def _attempt(self, message: QueuedMessage) -> None:
        try:
            attempted = await attempt_message(
                message,
                routing=self._routing,
                pool=self._pool,
                body=self._queue.body,
                turns=self._turns,
            )
            await self._conclude(message, attempted)
        except (NoSuchMessage, SpoolClosed):
            pass  # deleted by an operator meanwhile, or the agent ends
        except Exception as error:  # noqa: BLE001 - told, and tried again later
            mail_events.error("delivery_failed", queue_id=message.id, exc_info=error)
            self._queue.put_back(message.id, self._clock() + FAILED_S)

    # ----------------------------------------------------------------------------------------------------- settling

    async def _conclude(self, message: QueuedMessage, attempted: Attempted) -> None:
        now = self._clock()
        expires_at = message.expires_at
        if attempted.expire_after_s is not None:
            expires_at = message.lives_from + attempted.expire_after_s
        attempts = attempted.attempts
        if now >= expires_at:
            attempts = [_given_up(attempt) for attempt in attempts + attempted.resting]
        next_attempt = self._next_attempt(message, attempted, now)
        if attempted.resting and not attempts:
            self._queue.put_back(message.id, next_attempt)
            return
        self._log_attempts(message, attempts, now)
        if any(attempt.result is Result.DONE for attempt in attempts):
            self.delivered_at = now
        bounce = await self._bounce(message, attempts)
        outcomes = [Outcome(a.recipient, a.result, a.reply, a.peer.hop) for a in attempts]
        # The last attempt is made when the message expires, not a backoff later.
        await self._queue.settle(message.id, outcomes, max(now + 1.0, min(next_attempt, expires_at)), bounce)

    def _next_attempt(self, message: QueuedMessage, attempted: Attempted, now: float) -> float:
        times = []
        if attempted.rests_until is not None:
            times.append(now + max(0.0, attempted.rests_until - self._pool.clock()) + self._chance())
        if any(attempt.result is Result.NOT_NOW for attempt in attempted.attempts):
            times.append(now + retry_after_s(message.attempts + 1, self._chance()))
        return min(times, default=now)

    async def _bounce(self, message: QueuedMessage, attempts: Sequence[Attempt]) -> Bounce | None:
        failed = [attempt for attempt in attempts if attempt.result in (Result.NEVER, Result.EXPIRED)]
        routing = self._routing
        to = self.bounces.addressee(message, routing.accepted) if failed else None
        if to is None:
            return None
        headers = await self._headers(message)
        return self.bounces.write(message, failed, to=to, headers=headers, fqdn=routing.fqdn)

    async def _headers(self, message: QueuedMessage) -> bytes:
        """The message's header, or what can be read of it."""
        start = b""
        try:
            async with aclosing(self._queue.body(message)) as blocks:
                async for block in blocks:
                    start += block
                    if b"\r\n\r\n" in start or len(start) > HEADERS_MOST:
                        break
        except SpoolError:
            return b""
        return header_block(start)


def _given_up(attempt: Attempt) -> Attempt:
    """Not now, for too long (RFC 3463: 4.4.7, delivery time expired, which a report gives as 5.4.7)."""
    if attempt.result is not Result.NOT_NOW:
        return attempt
    return attempt._replace(result=Result.EXPIRED, status="5.4.7")
