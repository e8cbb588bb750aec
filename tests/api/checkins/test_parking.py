"""Parked check-ins: woken in order and paced, never leaked, all answered at the end."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Gauge

from gatepost_api.checkins.parking import TICK_S, Parking
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio


def parking(wakes_per_s: int = 1000) -> Parking:
    return Parking(wakes_per_s, Gauge("parked", "", registry=CollectorRegistry()))


async def test_the_time_ends_a_wait_and_leaves_nothing() -> None:
    lot = parking()
    await lot.wait("a", 0.01)
    assert lot.parked() == ()


async def test_a_second_check_in_of_a_server_ends_the_first() -> None:
    lot = parking()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(lot.wait("a", 20))
        await eventually(lambda: lot.is_parked("a"))
        second = group.create_task(lot.wait("a", 20))
        await asyncio.wait_for(first, 5)
        assert lot.is_parked("a")
        lot.drain()
        await asyncio.wait_for(second, 5)


async def test_wakes_are_paced_and_lose_nobody() -> None:
    lot = parking(wakes_per_s=round(2 / TICK_S))
    names = [str(number) for number in range(20)]
    woken: list[str] = []

    async def waiter(name: str) -> None:
        await lot.wait(name, 20)
        woken.append(name)

    runner = asyncio.create_task(lot.run(), name="parking")
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(waiter(name))
        await eventually(lambda: len(lot.parked()) == 20)
        lot.wake(names)
        await eventually(lambda: len(woken) > 0)
        assert len(woken) < 20
    assert woken == names
    runner.cancel()


async def test_a_drain_answers_everybody_and_lets_nobody_wait() -> None:
    lot = parking()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(lot.wait(name, 20)) for name in "abc"]
        await eventually(lambda: len(lot.parked()) == 3)
        lot.drain()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
    await asyncio.wait_for(lot.wait("d", 20), 1)


async def test_a_client_that_goes_away_leaves_nothing() -> None:
    lot = parking()
    task = asyncio.create_task(lot.wait("a", 20))
    await eventually(lambda: lot.is_parked("a"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert lot.parked() == ()
