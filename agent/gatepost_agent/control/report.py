"""What a check-in says: the whole report each time, facts only when they are not known there yet."""

import hashlib
import socket
import time
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple, Protocol
from uuid import uuid4

from gatepost.wire import (
    Attempt,
    CheckinRequest,
    CounterSet,
    DeviceRow,
    Facts,
    Health,
    HitRow,
    Running,
)
from gatepost_agent import __version__

DeviceKey = tuple[str, str]
MAX_DEVICES = 2000  # in one report; the rest comes with the next
MAX_HITS = 2000  # in one report
HIT_SLACK_S = 1.0  # rather twice than never: hits have the wall clock's time, reports the monotonic clock's
NEVER = float("-inf")


class Figures(Protocol):
    """What the relay counts."""

    def counters(self) -> tuple[CounterSet, ...]:
        """Every incarnation's totals, cumulative."""

    def devices(self) -> tuple[DeviceRow, ...]:
        """The clients seen lately."""

    def hits(self) -> tuple[HitRow, ...]:
        """When ranges were last hit."""

    def queue(self) -> dict[str, float]:
        """Figures of the queue by name."""

    def acknowledge(self, counted: CounterSet) -> None:
        """The control plane has these totals."""

    def renew(self) -> None:
        """Begin a new incarnation: this host may be a copy of another in time."""


class Standing(Protocol):
    """How configs stand on this host."""

    @property
    def running(self) -> Running | None:
        """What the listeners hold."""

    @property
    def attempt(self) -> Attempt | None:
        """How the last attempt ended."""


class Sources(NamedTuple):
    """Where a report comes from."""

    standing: Standing
    figures: Figures
    health: Callable[[], Health]
    listening: Callable[[], tuple[str, ...]]
    denied_version: Callable[[], int]


class Reporter:
    """Makes reports, numbered within this process's life."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._started = time.monotonic()
        self._seq = 0
        self._known_facts = ""
        self._known_counters: dict[str, CounterSet] = {}
        self._known_devices: dict[DeviceKey, DeviceRow] = {}
        self._known_until = NEVER  # hits up to then, as `uptime_s`
        self.incarnation = uuid4().hex

    def report(self) -> CheckinRequest:
        """The report of this moment."""
        facts = self._facts()
        digest = f"sha256:{hashlib.sha256(facts.model_dump_json().encode()).hexdigest()}"
        self._seq += 1
        uptime_s = time.monotonic() - self._started
        return CheckinRequest(
            seq=self._seq,
            incarnation=self.incarnation,
            uptime_s=uptime_s,
            facts_digest=digest,
            facts=None if digest == self._known_facts else facts,
            running=self._sources.standing.running,
            last_attempt=self._sources.standing.attempt,
            health=self._sources.health(),
            denied_version=self._sources.denied_version(),
            queue=self._sources.figures.queue(),
            counters=self._news(),
            devices=self._seen(),
            hits=self._hits(uptime_s),
        )

    def acknowledged(self, report: CheckinRequest) -> None:
        """The control plane has this report: what it knows need not be said again."""
        self._known_facts = report.facts_digest
        self._known_until = report.uptime_s
        self._known_devices |= {_key(row): _ageless(row) for row in report.devices}
        for counted in report.counters:
            self._known_counters[counted.incarnation] = counted
            self._sources.figures.acknowledge(counted)

    def forget(self) -> None:
        """The control plane knows nothing of us: tell everything again."""
        self._known_facts = ""
        self._known_counters = {}
        self._known_devices = {}
        self._known_until = NEVER

    def renew(self) -> None:
        """Begin a new incarnation, as after a restart."""
        self.incarnation, self._seq = uuid4().hex, 0
        self._sources.figures.renew()
        self.forget()

    def _facts(self) -> Facts:
        return Facts(
            version=__version__, hostname=socket.gethostname(), listening=self._sources.listening()[:200]
        )

    def _news(self) -> tuple[CounterSet, ...]:
        sets = self._sources.figures.counters()
        return tuple(known for known in sets if self._known_counters.get(known.incarnation) != known)[:60]

    def _seen(self) -> tuple[DeviceRow, ...]:
        """The devices with something new about them; those that are gone are forgotten."""
        rows = self._sources.figures.devices()
        present = {_key(row) for row in rows}
        self._known_devices = {key: row for key, row in self._known_devices.items() if key in present}
        news = (row for row in rows if self._known_devices.get(_key(row)) != _ageless(row))
        return tuple(islice(news, MAX_DEVICES))

    def _hits(self, uptime_s: float) -> tuple[HitRow, ...]:
        """Those since the last report that is known to have come."""
        age_s = uptime_s - self._known_until + HIT_SLACK_S
        return tuple(hit for hit in self._sources.figures.hits() if hit.age_s <= age_s)[:MAX_HITS]


def _key(row: DeviceRow) -> DeviceKey:
    return row.address, row.connector


def _ageless(row: DeviceRow) -> DeviceRow:
    return row.model_copy(update={"first_seen_age_s": 0.0, "last_seen_age_s": 0.0})
