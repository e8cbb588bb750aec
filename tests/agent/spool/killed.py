"""A process for test_kill.py: receives and delivers in `folder` and tells on standard output what was promised.

It kills itself, as kill -9 would, the n-th time it passes a fault point; at point "never" it is killed from outside.
Usage: killed.py FOLDER POINT N
"""

import asyncio
import os
import signal
import sys
from itertools import count
from pathlib import Path

from gatepost_agent.spool.messages import SpoolLimits
from gatepost_agent.spool.spool import Spool
from tests.agent.spool.samples import body_of, outcome, receive

LIMITS = SpoolLimits(inline_max=2000)
SIZES = (300, 1500, 150_000, 700)


def say(word: str, *numbers: int) -> None:
    """One line, in one write: the reader sees whole lines or nothing."""
    os.write(1, f"{word} {' '.join(map(str, numbers))}\n".encode())


class Killer:
    """The fault hook that ends the process."""

    def __init__(self, point: str, times: int) -> None:
        self._point = point
        self._left = times

    def __call__(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


async def send(spool: Spool, numbers: "count[int]") -> None:
    while (number := next(numbers)) < 400:
        stored = await receive(spool, body_of(number, SIZES[number % 4]))
        say("answered", stored.internal_id, number)


async def deliver(spool: Spool) -> None:
    while True:
        for message in await spool.take(3):
            if message.id % 3 == 0:  # leave something to be found
                spool.put_back(message.id, 9e9)
                continue
            say("sent", message.id)
            await spool.settle(message.id, [outcome(message.pending[0])])
            say("settled", message.id)


async def main(folder: str, point: str, times: str) -> None:
    spool = await Spool.open(Path(folder), LIMITS, fault=Killer(point, int(times)))
    delivery = asyncio.create_task(deliver(spool), name="delivery")
    numbers = count()
    await asyncio.gather(*(send(spool, numbers) for _ in range(8)))
    await spool._core.writer.call(lambda store: store.checkpoint())
    delivery.cancel()
    await asyncio.wait([delivery])
    await spool.close()
    say("ended")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
