"""Rates of a connector: what one more of something costs (reference section 7)."""

from gatepost.policy.dialogue.compiled import UNLIMITED, CompiledConnector
from gatepost.policy.dialogue.decision import Charge, Limit
from gatepost.policy.dialogue.throttle import take


def charges(
    connector: CompiledConnector, limit: Limit, key: str, state: float | None, *, per_minute: int, now: float
) -> tuple[Charge, ...] | None:
    """What is to be booked, nothing where there is no limit; None when the rate has no room.

    state: what is booked under the key, as in Usage. now: seconds since 1970.
    """
    if per_minute == UNLIMITED:
        return ()
    taken = take(state, now, per_minute)
    return (Charge(limit, connector.name, key, taken.state),) if taken.allowed else None
