"""Chores are done when due, and one that fails is tried again."""

import asyncio
import logging

import pytest

from gatepost_agent import upkeep
from gatepost_agent.upkeep import Chore, keep_up


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_chores_are_done_at_once_and_then_when_due(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "TICK_S", 0)
    clock = Clock()
    done: list[tuple[float, str]] = []

    async def often() -> None:
        done.append((clock.now, "often"))

    async def seldom() -> None:
        done.append((clock.now, "seldom"))
        raise OSError(28, "No space left on device")

    async def story() -> None:
        task = asyncio.create_task(keep_up((Chore("often", 1, often), Chore("seldom", 3, seldom)), clock))
        for _ in range(4):
            for _ in range(5):
                await asyncio.sleep(0)
            clock.now += 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with caplog.at_level(logging.WARNING):
        asyncio.run(story())
    assert done == [
        (0, "often"),
        (0, "seldom"),
        (1, "often"),
        (2, "often"),
        (3, "often"),
        (3, "seldom"),
    ]
    assert "seldom: [Errno 28]" in caplog.text


async def _broken() -> None:
    raise RuntimeError("a bug")


def test_a_bug_in_what_keeps_doors_shut_ends_the_agent() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(keep_up((Chore("broken", 1, _broken, vital=True),)))


def test_a_bug_elsewhere_is_told_and_the_other_chores_go_on(caplog: pytest.LogCaptureFixture) -> None:
    reached = asyncio.Event()

    async def other() -> None:
        reached.set()

    async def story() -> None:
        task = asyncio.create_task(keep_up((Chore("broken", 1, _broken), Chore("other", 1, other))))
        await asyncio.wait_for(reached.wait(), 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    assert "a bug; mail goes on" in caplog.text
