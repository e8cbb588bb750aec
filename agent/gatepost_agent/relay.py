"""The SMTP side and the queue as the rest of the agent needs them: figures, limits, draining."""

import time
from collections.abc import Callable
from typing import Protocol

from gatepost.wire import CounterSet, DeviceRow, HitRow
from gatepost_agent.current import Listening
from gatepost_agent.health import Finding
from gatepost_agent.spool.messages import Counts
from gatepost_agent.spool.spool import Spool


class Relay(Protocol):
    """The SMTP side."""

    @property
    def listening(self) -> Listening:
        """The listeners, for control."""

    def counters(self) -> tuple[CounterSet, ...]:
        """What it counted, by incarnation."""

    def devices(self) -> tuple[DeviceRow, ...]:
        """The clients seen lately."""

    def acknowledge(self, incarnation: str) -> None:
        """The control plane has this incarnation's totals."""

    def renew(self) -> None:
        """Begin a new incarnation."""

    def follow_denied(self) -> None:
        """The denied set has changed."""

    def hits(self) -> tuple[HitRow, ...]:
        """When each range last took a client, last first."""

    def odd_clients(self) -> tuple[Finding, ...]:
        """Clients that are not as usual."""

    def limited(self) -> str:
        """What this host holds back (descriptors, memory), or nothing."""

    def certificates(self) -> str:
        """What is wrong with the connectors' certificates, or nothing."""

    async def drain(self, deadline_s: float) -> None:
        """Stop accepting; let sessions finish, then 421 to the rest."""


class RelayFigures:
    """`control.report.Figures` of the relay and its spool together."""

    def __init__(self, relay: Relay, spool: Spool, clock: Callable[[], float] = time.time) -> None:
        self._relay = relay
        self._spool = spool
        self._clock = clock

    def counters(self) -> tuple[CounterSet, ...]:
        """Refusals of the SMTP side, and what the spool counted in its own transactions."""
        counts = self._spool.counts()
        return (*self._relay.counters(), *((counter_set(counts),) if counts.store_id else ()))

    def devices(self) -> tuple[DeviceRow, ...]:
        """As Figures.devices."""
        return self._relay.devices()

    def hits(self) -> tuple[HitRow, ...]:
        """As Figures.hits."""
        return self._relay.hits()

    def queue(self) -> dict[str, float]:
        """Figures of the queue; ages, and the time spent in transactions since the start, in seconds."""
        status = self._spool.status()
        oldest_at = status.oldest_received_at
        return {
            "messages": float(status.queued),
            "held": float(status.held),
            "kept": float(status.kept),
            "bytes": float(status.bytes),
            "oldest_s": 0.0 if oldest_at is None else max(0.0, self._clock() - oldest_at),
            "accepting": float(status.room == "ok"),
            "transactions": float(status.transactions),
            "commit_s": status.commit_s,
        }

    def acknowledge(self, counted: CounterSet) -> None:
        """As Figures.acknowledge."""
        if counted.closed:
            self._relay.acknowledge(counted.incarnation)

    def renew(self) -> None:
        """As Figures.renew; the spool's totals are the store's own and go on."""
        self._relay.renew()


def counter_set(counts: Counts) -> CounterSet:
    """The spool's totals as a set of their own: the store's id is the incarnation."""
    totals: dict[str, dict[str, int]] = {}
    for (connector, event), total in counts.totals.items():
        totals.setdefault(connector, {})[event] = total
    return CounterSet(incarnation=counts.store_id, totals=totals)
