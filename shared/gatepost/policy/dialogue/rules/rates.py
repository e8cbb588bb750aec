"""Rates of a connector: what one more of something costs (reference section 7)."""

from gatepost.policy.dialogue.compiled import UNLIMITED, CompiledConnector
from gatepost.policy.dialogue.decision import Charge, Limit, Usage
from gatepost.policy.dialogue.throttle import MINUTE_S, take

_ROUNDING_S = 1e-6


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


def arrival(connector: CompiledConnector, usage: Usage) -> tuple[Charge, ...] | None:
    """What one more connection costs the host; None when it takes no more now.

    Strangers leave a fifth to relay connectors, as with sessions. Source: a server's MaxConnectionRatePerMinute.
    """
    if not usage.arrivals_per_minute:
        return ()
    taken = take(usage.arrivals, usage.now, usage.arrivals_per_minute)
    most = MINUTE_S if connector.relays_unproved else MINUTE_S * 4 / 5
    if not taken.allowed or taken.state - usage.now > most + _ROUNDING_S:
        return None
    return (Charge(Limit.ARRIVALS, "", "", taken.state),)
