"""What has to happen now and then: expiries, listeners that were missing, metrics, old mail, the latest time seen."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

log = logging.getLogger(__name__)

TICK_S = 1.0


class Chore(NamedTuple):
    """Done every `every_s` seconds; trouble with the disk is logged, and it is tried again the next time."""

    name: str
    every_s: float
    do: Callable[[], Awaitable[None]]


async def keep_up(chores: tuple[Chore, ...], clock: Callable[[], float] = time.monotonic) -> None:
    """Do the chores for ever. Each is due at once."""
    due = {chore.name: clock() for chore in chores}
    while True:
        for chore in chores:
            if clock() >= due[chore.name]:
                due[chore.name] = clock() + chore.every_s
                await _done(chore)
        await asyncio.sleep(TICK_S)


async def _done(chore: Chore) -> None:
    try:
        await chore.do()
    except OSError as error:
        log.warning("%s: %s", chore.name, error)
