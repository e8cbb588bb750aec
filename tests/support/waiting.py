"""Waiting for a condition with a deadline: no test sleeps and hopes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar

T = TypeVar("T")

PAUSE_S = 0.01


def wait_until(condition: Callable[[], T], timeout: float = 10, *, what: str = "") -> T:
    """Return the first true value of `condition()`; AssertionError after `timeout` seconds.

    Errors that `condition` raises pass through: a condition says what "not yet" looks like.
    """
    deadline = time.monotonic() + timeout
    while True:
        if outcome := condition():
            return outcome
        if time.monotonic() > deadline:
            raise AssertionError(_late(condition, timeout, what, outcome))
        time.sleep(PAUSE_S)


async def eventually(
    condition: Callable[[], T] | Callable[[], Awaitable[T]],
    timeout: float = 10,  # noqa: ASYNC109 - the time given to the world, not to one call
    *,
    what: str = "",
) -> T:
    """`wait_until` for tests on the loop; `condition` may be a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        outcome = condition()
        settled: T = await outcome if isawaitable(outcome) else outcome
        if settled:
            return settled
        if time.monotonic() > deadline:
            raise AssertionError(_late(condition, timeout, what, settled))
        await asyncio.sleep(PAUSE_S)


def _late(condition: Callable[[], object], timeout: float, what: str, outcome: object) -> str:
    name = what or getattr(condition, "__qualname__", repr(condition))
    return f"not within {timeout:g} s: {name} (last seen: {outcome!r})"
