"""How this host is, as conditions: each a fact that an operator should know, with the config it was seen under."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from gatepost.wire import Condition, Health

Status = Literal["True", "False", "Unknown"]
Level = Literal["ok", "degraded", "failing"]

ORDER: tuple[Level, ...] = ("ok", "degraded", "failing")
GOOD: dict[str, Level] = {"ListenersReady": "failing", "ConfigApplied": "failing"}
"""Conditions that should be True, and how bad it is when they are not."""
BAD: dict[str, Level] = {
    "Drifted": "degraded",
    "LastAttemptFailed": "degraded",
    "ClockSkew": "degraded",
    "Disconnected": "degraded",
    "DuplicateIdentity": "degraded",
    "DeniedListRefused": "degraded",
    "StateNotStored": "degraded",
    "QueueOld": "degraded",
    "DeliveryStalled": "failing",
    "SpoolFull": "failing",
    "SpoolTrouble": "failing",
    "CertificateMismatch": "degraded",
    "CertificateExpiring": "degraded",
    "RelayKeptShut": "degraded",
    "DeniedHere": "ok",  # an operator's act: worth showing, no illness
    "ManyHostsBehindOneAddress": "degraded",
    "UnusualVolume": "degraded",
    "LimitedByHost": "degraded",
}
"""Conditions that should be False, and how bad it is when they are not."""


class Finding(NamedTuple):
    """That a condition holds (a bad one) or does not (a good one), and why."""

    type: str
    reason: str
    message: str = ""


class Conditions:
    """Turns findings into health, remembering since when each has held."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, tuple[Status, float]] = {}

    def health(self, findings: Iterable[Finding], generation: int) -> Health:
        """Every known condition; generation: that of the running config, 0 for none."""
        found = {finding.type: finding for finding in findings}
        conditions = [
            *(
                self._condition(name, "False" if name in found else "True", found, generation)
                for name in GOOD
            ),
            *(self._condition(name, "True" if name in found else "False", found, generation) for name in BAD),
        ]
        levels = [(GOOD | BAD)[name] for name in found]
        return Health(status=max(levels, key=ORDER.index, default="ok"), conditions=tuple(conditions))

    def _condition(
        self, name: str, status: Status, found: Mapping[str, Finding], generation: int
    ) -> Condition:
        now = self._clock()
        before, since = self._since.get(name, (status, now))
        if before != status:
            since = now
        self._since[name] = (status, since)
        finding = found.get(name, Finding(name, ""))
        return Condition(
            type=name,
            status=status,
            reason=finding.reason,
            message=finding.message[:1024],
            observed_generation=generation,
            since_s=round(now - since, 1),
        )


def noteworthy(health: Health) -> tuple[Condition, ...]:
    """The conditions that are not as they should be."""
    wanted = {**dict.fromkeys(GOOD, "True"), **dict.fromkeys(BAD, "False")}
    return tuple(c for c in health.conditions if c.status != wanted.get(c.type, "False"))
