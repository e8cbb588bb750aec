"""Two hosts with one identity, and hosts that went back in time: seen from how reports follow each other.

A restart brings a new incarnation, for good. An old one that speaks again after a newer one did means that two
hosts take turns: the one that came later is turned away, the first keeps working.
"""

from collections import deque
from typing import Literal, NamedTuple

WINDOW_S = 600.0
KEPT = 8

Verdict = Literal["ok", "duplicate", "went_back"]


class _Past(NamedTuple):
    incarnation: str
    at: float


class Stream:
    """The reports of one server as this process saw them."""

    def __init__(self) -> None:
        self.incarnation = ""
        self.seq = -1
        self._past: deque[_Past] = deque(maxlen=KEPT)
        self._refused: deque[str] = deque(maxlen=KEPT)

    def judge(self, incarnation: str, seq: int, now: float) -> Verdict:
        """What a report with this incarnation and sequence number is; `now` in seconds, from any clock."""
        if incarnation in self._refused:
            return "duplicate"
        if incarnation == self.incarnation:
            went_back = seq < self.seq
            self.seq = seq
            return "went_back" if went_back else "ok"
        came_back = any(past.incarnation == incarnation and now - past.at < WINDOW_S for past in self._past)
        if came_back:
            self._refused.append(self.incarnation)
        elif self.incarnation:
            self._past.append(_Past(self.incarnation, now))
        self.incarnation, self.seq = incarnation, seq
        return "ok"
