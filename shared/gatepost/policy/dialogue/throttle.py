"""Rates and caps as values: `take(state, now, …)` gives the new state and whether there was room.

A rate is a leaky bucket kept as one number, the time at which it will be empty (the generic cell rate
algorithm): a source may send its minute's worth at once, and regains room evenly. Source: reference section 7.
"""

from typing import NamedTuple

MINUTE_S = 60.0
"""What a rate may be ahead of the clock: a source that has used it up is."""
_MEDIUM = 0.8


class Taken(NamedTuple):
    """`state` is to be stored whether there was room or not (without room it is unchanged)."""

    state: float
    allowed: bool


def take(state: float | None, now: float, per_minute: int, count: int = 1) -> Taken:
    """Take `count` from a rate. `state`: what an earlier call returned, None for a new source; times in seconds."""
    step = MINUTE_S / per_minute
    empty_at = max(state if state is not None else now, now) + step * count
    if empty_at - now > MINUTE_S + step / 2:
        return Taken(state if state is not None else now, allowed=False)
    return Taken(empty_at, allowed=True)


def back_pressure_s(fill: float) -> float:
    """How long MAIL waits for its answer while the queue is more than four fifths full: 10 s, 5 s more for each
    fiftieth, 55 s at most. A queue that fills because nothing leaves is filled more slowly by everybody.

    fill: what part of the spool is taken, by count or by octets. Source: Exchange's back pressure (reference 7.1).
    """
    steps = int((fill - _MEDIUM) * 50 + 1e-9)
    return 0.0 if fill < _MEDIUM else min(10.0 + 5.0 * steps, 55.0)


def share_of_free(limit: int, in_use: int, percentage: int) -> int:
    """Sessions one source may hold. Source: MaxInboundConnectionPercentagePerSource, a share of the free slots."""
    return max(limit - in_use, 0) * percentage // 100
