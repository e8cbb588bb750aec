"""`Prefer: wait=…` (RFC 7240) on reads of what converges: the present state at the end, never an error."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request, Response

from gatepost_api.fleet import POLL_S, Fleet

WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,4})\b")
PAUSE_S = 0.2  # a thousand servers report in a second; whoever waits looks five times
Found = TypeVar("Found")


def preferred_wait_s(request: Request) -> float:
    """Seconds of `Prefer: wait=…`, within our bound; 0 without it."""
    found = WAIT.search(request.headers.get("prefer", ""))
    bound: int = request.app.state.settings.max_wait_s
    return float(min(int(found[1]), bound)) if found else 0.0


Preference = Annotated[
    str | None, Header(alias="Prefer", description="`wait=60` waits so many seconds for news")
]


async def preferred(
    request: Request,
    response: Response,
    _prefer: Preference = None,
) -> float:
    """Seconds that the caller wants to wait, within our bound."""
    wait_s = preferred_wait_s(request)
    if wait_s:
        response.headers["Preference-Applied"] = f"wait={wait_s:.0f}"
    return wait_s


PreferredWait = Annotated[float, Depends(preferred)]


async def converged(
    look: Callable[[], Awaitable[Found]], done: Callable[[Found], bool], fleet: Fleet, wait_s: float
) -> Found:
    """What `look` finds once it is `done`, or when the time is over; no session is open in between."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while True:
        known = fleet.edition  # read before looking: what is announced meanwhile may have been missed
        found = await look()
        left = deadline - loop.time()
        if done(found) or left <= 0:
            return found
        if await fleet.news(known, min(left, POLL_S)):
            await asyncio.sleep(min(PAUSE_S, left))
