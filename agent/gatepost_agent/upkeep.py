"""What has to happen now and then: expiries, listeners that were missing, metrics, old mail, the latest time seen."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

log = logging.getLogger(__name__)

TICK_S = 1.0


class Chore(NamedTuple):
    """Done every `every_s` seconds; what goes wrong is logged, and it is tried again the next time.

    vital: a bug in it ends the agent, which starts again from disk: an expiry that is not carried out leaves a
    door open, while mail must not stop for want of a metrics file.
    """

    name: str
    every_s: float
    do: Callable[[], Awaitable[None]]
    vital: bool = False


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
    except Exception:
        if chore.vital:
            raise
        log.exception("%s: a bug; mail goes on", chore.name)
