"""The one timer of a session: ConnectionInactivityTimeout while it waits, ConnectionTimeout for the whole."""

import asyncio
from collections.abc import Callable

from gatepost.policy.dialogue.events import TimedOut

_NEARLY = 0.002  # a loop's timers may fire this much early


class Alarm:
    """Set once and looked at when it fires: a line of input costs no timer, only a time written down."""

    def __init__(
        self,
        idle_s: float,
        session_s: float,
        ring: Callable[[TimedOut], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._loop = loop
        self._idle_s = idle_s
        self._ring = ring
        self._end = loop.time() + session_s
        self._waiting_since: float | None = None
        self._timer = loop.call_later(min(idle_s, session_s), self._look)

    def waiting(self) -> None:
        """From now on it is the client's turn."""
        self._waiting_since = self._loop.time()

    def working(self) -> None:
        """It is ours."""
        self._waiting_since = None

    def cancel(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        idle_at = (now if self._waiting_since is None else self._waiting_since) + self._idle_s
        if now + _NEARLY >= self._end:
            self._ring(TimedOut("session"))
        elif now + _NEARLY >= idle_at:
            self._ring(TimedOut("idle"))
        else:
            self._timer = self._loop.call_at(min(idle_at, self._end), self._look)
