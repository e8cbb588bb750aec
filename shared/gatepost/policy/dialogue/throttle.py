"""Rates and caps as values: `take(state, now, …)` gives the new state and whether there was room.

A rate is a leaky bucket kept as one number, the time at which it will be empty (the generic cell rate
algorithm): a source may send its minute's worth at once, and regains room evenly. Source: reference section 7.
"""

from typing import NamedTuple


class Taken(NamedTuple):
    """`state` is to be stored whether there was room or not (without room it is unchanged)."""

    state: float
    allowed: bool


def take(state: float | None, now: float, per_minute: int, count: int = 1) -> Taken:
    """Take `count` from a rate. `state`: what an earlier call returned, None for a new source; times in seconds."""
    step = 60.0 / per_minute
    empty_at = max(state if state is not None else now, now) + step * count
    if empty_at - now > 60.0 + step / 2:
        return Taken(state if state is not None else now, allowed=False)
    return Taken(empty_at, allowed=True)


def share_of_free(limit: int, in_use: int, percentage: int) -> int:
    """Sessions one source may hold. Source: MaxInboundConnectionPercentagePerSource, a share of the free slots."""
    return max(limit - in_use, 0) * percentage // 100
