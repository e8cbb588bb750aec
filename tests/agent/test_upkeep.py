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


def test_a_bug_is_not_hidden() -> None:
    async def broken() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(keep_up((Chore("broken", 1, broken),)))
