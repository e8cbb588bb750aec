"""Check-ins that wait: parked in memory, without a database session, woken one by one at a measured pace.

Waking ten thousand at once would hold up every other request for seconds; so a waker hands out wakes at
`wakes_per_s`, oldest first, and slows down when the loop lags. What a woken check-in then answers is read from
`desired` at that moment, so a second publish meanwhile is simply what it sees.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable

from prometheus_client import Gauge

TICK_S = 0.01
LAG_BOUND_S = 0.015  # whoever is woken soon reports back: a loop that lags has enough to do
FIRST_WAKES = 10


class Parking:
    """The waiting check-ins of this process, one per server; all calls on the loop's own thread."""

    def __init__(self, wakes_per_s: int, gauge: Gauge) -> None:
        self.per_tick = max(1, round(wakes_per_s * TICK_S))
        self.draining = False
        self._gauge = gauge
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._to_wake: OrderedDict[str, None] = OrderedDict()
        self._work = asyncio.Event()

    async def wait(self, server_id: str, seconds: float) -> None:
        """Return when the server is woken, another check-in of it arrives, or the time is over."""
        if self.draining:
            return
        self._release(server_id)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[server_id] = future
        self._gauge.set(len(self._waiting))
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        finally:
            if self._waiting.get(server_id) is future:
                del self._waiting[server_id]
            self._gauge.set(len(self._waiting))

    def is_parked(self, server_id: str) -> bool:
        return server_id in self._waiting

    def parked(self) -> tuple[str, ...]:
        return tuple(self._waiting)

    def wake(self, server_ids: Iterable[str]) -> None:
        """Wake these servers' check-ins soon, in this order."""
        for server_id in server_ids:
            if server_id in self._waiting:
                self._to_wake[server_id] = None
        if self._to_wake:
            self._work.set()

    def drain(self) -> None:
        """Answer everything that waits, and let nothing wait any more: the process ends."""
        self.draining = True
        for server_id in tuple(self._waiting):
            self._release(server_id)

    def _release(self, server_id: str) -> None:
        future = self._waiting.pop(server_id, None)
        if future is not None and not future.done():
            future.set_result(None)

    async def run(self) -> None:
        """Hand out wakes until cancelled; the application's owner keeps this task."""
        allowed = min(FIRST_WAKES, self.per_tick)
        while True:
            await self._work.wait()
            for _ in range(min(allowed, len(self._to_wake))):
                server_id, _ = self._to_wake.popitem(last=False)
                self._release(server_id)
            if not self._to_wake:
                self._work.clear()
            began = time.monotonic()
            await asyncio.sleep(TICK_S)
            lag = time.monotonic() - began - TICK_S
            allowed = max(1, allowed // 2) if lag > LAG_BOUND_S else min(self.per_tick, allowed + 2)
