"""One next hop: how many messages a connection carries, the rate, idle connections, room among many hops."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gatepost_agent.delivery import pool as pool_module
from gatepost_agent.delivery.exits import Exit
from gatepost_agent.delivery.job import Job
from gatepost_agent.delivery.lane import Resting
from gatepost_agent.delivery.pace import MOST_WAITING
from gatepost_agent.delivery.pool import Pool
from gatepost_agent.delivery.targets import Finder
from gatepost_agent.spool.messages import Result
from tests.agent.delivery.conftest import Run
from tests.agent.delivery.resolver import FakeResolver
from tests.agent.delivery.samples import exit_for, hop, job, message, results
from tests.support.smart_host import Act, SmartHost, smart_hosts
from tests.support.waiting import eventually


class Clock:
    """The pool's clock, moved by the test."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def pooling(clock: Clock, most_connections: int = 200) -> AsyncIterator[Pool]:
    pool = Pool(Finder(FakeResolver()), clock=clock, chance=lambda: 0.5, most_connections=most_connections)
    try:
        yield pool
    finally:
        await pool.stop()
        assert pool.connections == 0


def submit(pool: Pool, exit_: Exit, host: SmartHost, count: int, address: str = "127.0.0.1") -> list[Job]:
    jobs = [job(message(number)) for number in range(count)]
    for one in jobs:
        one.done.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at
        pool.submit(exit_, hop(host.port, address), one)
    return jobs


async def all_done(jobs: list[Job]) -> bool:
    return all([results(await one.done) == {"kate@fabrikam.com": Result.DONE} for one in jobs])


def test_a_connection_carries_as_many_messages_as_the_connector_says(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host, pooling(Clock()) as pool:
            exit_ = exit_for(smtp_max_messages_per_connection=10, max_connections=1)
            assert await all_done(submit(pool, exit_, host, 35))
            assert host.connections == 4

    run(scene())


def test_the_rate_of_a_next_hop_is_kept(run: Run) -> None:
    async def scene() -> None:
        clock = Clock()
        async with SmartHost() as host, pooling(clock) as pool:
            exit_ = exit_for(message_rate_limit=600, max_connections=2)
            jobs = submit(pool, exit_, host, 250)
            more = submit(pool, exit_, host, 50)
            # Six hundred a minute may go at once, then ten a second; the clock stands still.
            assert await all_done(jobs + more)
            exit_ = exit_for(message_rate_limit=3, max_connections=2)
            jobs = submit(pool, exit_, host, 5)
            await eventually(lambda: sum(one.done.done() for one in jobs) == 3)
            lane = next(lane for lane in pool._lanes.values() if lane.exit is exit_)
            await eventually(lambda: lane._idle)
            assert sum(one.done.done() for one in jobs) == 3
            clock.now += 41
            lane.wake()
            assert await all_done(jobs)

    run(scene())


def test_connections_nobody_needs_close_by_themselves(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host, pooling(Clock()) as pool:
            exit_ = exit_for()
            exit_.idle_s = 0.02
            assert await all_done(submit(pool, exit_, host, 30))
            await eventually(lambda: pool.connections == 0)
            await eventually(lambda: host.open == 0)
            assert host.said("QUIT")

    run(scene())


def test_an_idle_connection_makes_room_for_another_next_hop(run: Run) -> None:
    async def scene() -> None:
        one, two = SmartHost(), SmartHost()
        async with smart_hosts(one, two), pooling(Clock(), most_connections=1) as pool:
            exit_ = exit_for()
            assert await all_done(submit(pool, exit_, one, 3))
            assert await all_done(submit(pool, exit_, two, 3, "127.0.0.2"))
            assert (one.most_open, two.most_open) == (1, 1)

    run(scene())


def test_too_many_for_one_next_hop_are_refused_at_once(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost(answers={"CONNECT": Act.HANG}) as host, pooling(Clock()) as pool:
            exit_ = exit_for()
            submit(pool, exit_, host, MOST_WAITING)
            with pytest.raises(Resting, match="enough messages are waiting"):
                pool.submit(exit_, hop(host.port), job())

    run(scene())


def test_a_slow_next_hop_gives_back_what_it_cannot_take_soon(run: Run) -> None:
    async def scene() -> None:
        clock = Clock()
        async with SmartHost(answers={"CONNECT": Act.HANG}) as host, pooling(clock) as pool:
            exit_ = exit_for()
            jobs = submit(pool, exit_, host, 100)
            clock.now += 1.0
            with pytest.raises(Resting):
                pool.submit(exit_, hop(host.port), job())
            refused = [one for one in jobs if one.done.done()]
            assert len(refused) == 80
            assert all(isinstance(one.done.exception(), Resting) for one in refused)

    run(scene())


def test_a_stopped_pool_takes_nothing(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host:
            async with pooling(Clock()) as pool:
                waiting = submit(pool, exit_for(max_connections=1), host, 3)
            assert all(one.done.done() for one in waiting)
            with pytest.raises(Resting, match="stops"):
                pool.submit(exit_for(), hop(host.port), job())

    run(scene())


def test_a_job_that_was_given_up_is_passed_over(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host, pooling(Clock()) as pool:
            exit_ = exit_for(max_connections=1)
            given_up, wanted = submit(pool, exit_, host, 2)
            given_up.done.cancel()
            assert await all_done([wanted])
            assert len(host.messages) == 1

    run(scene())


def test_a_host_that_greets_and_hangs_up_fails_the_hop_after_few_tries(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost(answers={"MAIL": Act.CLOSE}) as host, pooling(Clock()) as pool:
            [one] = submit(pool, exit_for(), host, 1)
            with pytest.raises(Exception, match="closed"):
                await asyncio.wait_for(one.done, 10)
            assert host.connections <= 4

    run(scene())


def test_a_host_that_takes_one_connection_is_not_dialled_again_and_again(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host, pooling(Clock()) as pool:
            number = itertools.count()
            host.answers["CONNECT"] = lambda _: "421 4.7.0 one is enough" if next(number) else None
            exit_ = exit_for()
            assert await all_done(submit(pool, exit_, host, 200))
            assert host.connections <= 4
            assert pool.resting() == {}

    run(scene())


def test_more_next_hops_than_can_be_remembered_have_to_wait(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "MOST_LANES", 2)

    async def scene() -> None:
        clock = Clock()
        async with SmartHost(answers={"CONNECT": "421 4.3.2 busy"}) as host, pooling(clock) as pool:
            exit_ = exit_for()
            for number in (1, 2):
                [one] = submit(pool, exit_, host, 1, f"127.0.0.{number}")
                await asyncio.wait({one.done})
            with pytest.raises(Resting, match="too many next hops"):
                submit(pool, exit_, host, 1, "127.0.0.3")
            clock.now += 60
            submit(pool, exit_, host, 1, "127.0.0.3")

    run(scene())


def test_a_rest_that_is_ended_lets_one_connection_feel_the_way(run: Run) -> None:
    async def scene() -> None:
        clock = Clock()
        async with SmartHost(answers={"CONNECT": "421 4.3.2 busy"}) as host, pooling(clock) as pool:
            exit_ = exit_for()
            [one] = submit(pool, exit_, host, 1)
            await asyncio.wait({one.done})
            pool.end_rests(clock.now)  # asked for before the failure
            with pytest.raises(Resting, match="busy"):
                submit(pool, exit_, host, 1)
            host.answers.clear()
            pool.end_rests(clock.now + 1)
            assert pool.resting() == {}
            jobs = submit(pool, exit_, host, 20)
            assert pool.connections == 1
            assert await all_done(jobs)

    run(scene())
