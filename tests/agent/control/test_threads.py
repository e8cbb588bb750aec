"""A cancelled caller waits until the disk has what was begun."""

import asyncio
import threading

import pytest

from gatepost_agent.control.threads import whole


def test_the_result_and_the_error_come_through() -> None:
    def fail() -> None:
        raise OSError(28, "full")

    assert asyncio.run(whole(lambda number: number + 1, 1)) == 2
    with pytest.raises(OSError, match="full"):
        asyncio.run(whole(fail))


@pytest.mark.parametrize("error", [None, OSError(28, "full")])
def test_a_cancelled_caller_leaves_when_the_work_is_over(error: OSError | None) -> None:
    begun, go_on, over = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)
        over.set()
        if error is not None:
            raise error

    async def story() -> None:
        caller = asyncio.create_task(whole(work))
        await asyncio.to_thread(begun.wait, 10)
        caller.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert over.is_set()

    asyncio.run(story())
