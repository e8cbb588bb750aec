"""One next hop: its waiting messages, its kept-open connections, and how hard it may be pressed.

Each connection has a task that opens a session, takes jobs until there are none for a while, and ends. A lane whose
next hop does not answer rests: what it is given is refused at once (the scheduler goes on to the next hop in order),
so that it holds up nobody else's mail. After the rest one task dials; the first session that stands ends it. How many
jobs may wait depends on how fast they go; what is too much is refused in the same way.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from gatepost_agent.delivery.errors import ConnectionLost, DeliveryError, HopFailed
from gatepost_agent.delivery.exits import Exit
from gatepost_agent.delivery.job import Job
from gatepost_agent.delivery.pace import Circuit, Rate, Room, Width
from gatepost_agent.delivery.session import Session
from gatepost_agent.mail_events import mail_events
from gatepost_agent.spool.errors import SpoolError

CROWDED_S = 1.0  # until jobs that found no room come again
UNPROVEN_S = 10.0  # the same when no connection stands
ANOTHER_S = 5.0  # until one more connection is tried where one more was refused
REQUEUED = 3  # connections that may die at once under a job before that counts as a failure


class Resting(HopFailed):
    """Not tried: the next hop failed a moment ago, or has too much waiting. `until` is on the loop's clock."""

    def __init__(self, why: str, until: float) -> None:
        super().__init__(why)
        self.until = until


class Surroundings(NamedTuple):
    """What a lane needs from the pool: a way to a session, a clock, chance, room for one more connection."""

    open: Callable[[], Awaitable[Session]]
    clock: Callable[[], float]
    chance: Callable[[], float]
    room: Callable[[], bool]
    ended: Callable[[], None]


class Lane:
    """See the module. `stop` it."""

    def __init__(self, name: str, exit_: Exit, around: Surroundings) -> None:
        self.name = name
        self.exit = exit_
        self._around = around
        self._waiting: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sessions = 0
        self._idle: list[asyncio.Future[bool | None]] = []
        self._room = Room()
        self._stopped = False
        self._another_at = 0.0
        self._width = Width(most=exit_.connector.max_connections)
        self._circuit = Circuit()
        self._rate = Rate(exit_.per_minute) if exit_.per_minute else None

    @property
    def connections(self) -> int:
        """Connections open or being opened."""
        return len(self._tasks)

    @property
    def forgettable(self) -> bool:
        """Whether nothing would be lost with it."""
        return not (self._tasks or self._waiting) and not self._circuit.resting(self._around.clock())

    @property
    def resting(self) -> str | None:
        """Why it is not tried for the moment, if it is not."""
        resting = not self._sessions and self._circuit.resting(self._around.clock())
        return self._circuit.why if resting else None

    def end_rest(self, before: float) -> None:
        """Take jobs again if it rests for a failure before that time."""
        self._circuit.end_rest(before)

    @property
    def starved(self) -> bool:
        """Whether jobs wait and no connection is there to take them."""
        return bool(self._waiting) and not self._tasks

    def submit(self, job: Job) -> None:
        """Take a job. Raises Resting instead when it would only wait."""
        now = self._around.clock()
        if (why := self.resting) is not None:
            raise Resting(f"not tried, after: {why}", self._circuit.rests_until)
        limit = self._room.look(now, len(self._waiting))
        while len(self._waiting) > limit:
            self._waiting.pop().fail(self._crowded())
        if len(self._waiting) == limit:
            raise self._crowded()
        self._waiting.append(job)
        self.wake()

    def wake(self) -> None:
        """Give waiting jobs an idle connection, or one more connection if allowed."""
        while self._idle:
            # The connection used last is used again, so that those not needed grow old and close.
            idle = self._idle.pop()
            if not idle.done():
                idle.set_result(True)
                return
        opening = len(self._tasks) - self._sessions
        if len(self._waiting) > opening and len(self._tasks) < self._wide() and self._around.room():
            task = asyncio.create_task(self._work(), name=f"delivery to {self.name}")
            self._tasks.add(task)
            task.add_done_callback(self._end)

    def _wide(self) -> int:
        """How many connections there may be now."""
        if self._stopped:
            return 0
        if self._tasks and self._around.clock() < self._another_at:
            return len(self._tasks)
        return 1 if self._circuit.failures and not self._sessions else self._width.limit

    def shed(self) -> bool:
        """Close one idle connection to make room for another next hop's; whether there was one."""
        while self._idle:
            idle = self._idle.pop(0)
            if not idle.done():
                idle.set_result(False)
                return True
        return False

    async def stop(self) -> None:
        """End all connections; what was not decided is refused."""
        self._stopped = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._refuse_waiting(self._stopping())

    # ------------------------------------------------------------------------------------------ one connection's task

    async def _work(self) -> None:
        try:
            session = await self._around.open()
        except DeliveryError as error:
            self._not_opened(error)
            return
        self._circuit.opened()
        self._sessions += 1
        job = None
        try:
            job = await self._use(session)
        finally:
            self._sessions -= 1
            session.close()
            for left in (job, session.take_begun()):
                if left is not None:
                    self._requeue(left, session, HopFailed("the connection was closed"))

    async def _use(self, session: Session) -> Job | None:
        """Deliver until there is no reason to go on; return a job that was taken and not begun."""
        begun: Job | None = None
        while begun or self._may_go_on(session, 0):
            job = begun or self._next() or await self._wait_for_one()
            if job is None or (not begun and not session.usable):
                return job
            begun = await self._deliver(session, job)
            if not (begun or session.usable):
                break
        return None

    def _may_go_on(self, session: Session, under_way: int) -> bool:
        """Whether one more message may use this connection."""
        most = self.exit.connector.smtp_max_messages_per_connection
        return session.delivered + under_way < most and self._sessions <= self._width.limit

    async def _deliver(self, session: Session, job: Job) -> Job | None:
        def following() -> Job | None:
            return self._next() if self._may_go_on(session, 1) else None

        try:
            begun = await session.deliver(job, following)
        except ConnectionLost as lost:
            self._width.met_trouble(self._around.clock())
            self._requeue(job, session, lost)
            return None
        except (DeliveryError, SpoolError) as error:
            job.fail(error)
            return None
        except BaseException as error:
            job.fail(error if isinstance(error, Exception) else self._stopping())
            raise
        self._room.took_one()
        if job.met_trouble:
            self._width.met_trouble(self._around.clock())
        else:
            self._width.went_well()
        return begun

    def _next(self) -> Job | None:
        """The job that may go now, if there is one."""
        while self._waiting and self._waiting[0].done.done():
            self._waiting.popleft()  # given up by the scheduler
        if not self._waiting or (self._rate and self._rate.take(self._around.clock())):
            return None
        return self._waiting.popleft()

    async def _wait_for_one(self) -> Job | None:
        """Lie idle until there is a job, or None: idle too long, or the connection is wanted elsewhere."""
        while True:
            pause_s = self._rate.wait(self._around.clock()) if self._rate and self._waiting else 0.0
            called = await self._lie_idle(pause_s or self.exit.idle_s)
            if called is False or (called is None and not pause_s):
                return None
            if job := self._next():
                return job

    async def _lie_idle(self, seconds: float) -> bool | None:
        """True: there is a job; False: the connection is wanted elsewhere; None: nothing for so long."""
        loop = asyncio.get_running_loop()
        idle: asyncio.Future[bool | None] = loop.create_future()
        self._idle.append(idle)
        # Not `asyncio.timeout`, which costs more than the rest of a wait that ends for each message.
        timer = loop.call_later(seconds, _end_idle, idle)
        try:
            return await idle
        finally:
            timer.cancel()
            if idle in self._idle:
                self._idle.remove(idle)

    # ------------------------------------------------------------------------------------------------- when it fails

    def _not_opened(self, error: DeliveryError) -> None:
        now = self._around.clock()
        self._width.met_trouble(now)
        if len(self._tasks) > 1:
            self._another_at = now + ANOTHER_S
            return  # there are others: those that stand, and the last to be refused decides
        if isinstance(error, HopFailed) and not self._circuit.resting(now):
            self._circuit.failed(now, self._around.chance(), str(error))
        self._refuse_waiting(error)

    def _requeue(self, job: Job, session: Session, error: HopFailed) -> None:
        """Another connection may do better, unless fresh ones keep dying under this job."""
        if not session.delivered:
            job.requeued += 1
        if job.requeued >= REQUEUED or (not session.delivered and isinstance(error, ConnectionLost)):
            job.fail(error)
        else:
            self._waiting.appendleft(job)

    def _crowded(self) -> Resting:
        wait_s = CROWDED_S if self._sessions else UNPROVEN_S
        until = self._around.clock() + wait_s
        return Resting("not tried: enough messages are waiting for this next hop", until)

    def _stopping(self) -> Resting:
        return Resting("delivery stops", self._around.clock())

    def _refuse_waiting(self, error: DeliveryError) -> None:
        while self._waiting:
            self._waiting.popleft().fail(error)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            mail_events.error("delivery_task_failed", next_hop=self.name, exc_info=error)
            self._refuse_waiting(HopFailed("internal error in delivery"))
        if self._waiting:
            self.wake()
        self._around.ended()


def _end_idle(idle: "asyncio.Future[bool | None]") -> None:
    if not idle.done():
        idle.set_result(None)
