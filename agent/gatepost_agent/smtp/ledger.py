"""Who is in, and how much they have sent: the numbers behind `Usage`, in bounded memory.

The whole concurrency rule: a session reads its usage, steps and books the charges in one turn of the loop.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from gatepost.policy.dialogue.decision import Charge, Limit

T = TypeVar("T")

MAX_RATES = 100_000
KEPT_S = 120.0
"""Longer than any state of a rate lies ahead of the clock: a minute and half a step."""


class Place(NamedTuple):
    """Where a session counts: its connector, and its client there."""

    connector: str
    client: str


class Others(NamedTuple):
    """Other sessions open, as `Usage` has them."""

    connector_open: int
    source_open: int
    sessions_open: int


class Sessions:
    """Open sessions: in all, on a connector, and on a connector from one client."""

    def __init__(self) -> None:
        self.total = 0
        self.by_connector: Counter[str] = Counter()
        self.by_place: Counter[Place] = Counter()

    def enter(self, place: Place) -> Others:
        """Taken at connect, whatever is answered; given back by `leave` on every exit."""
        others = Others(self.by_connector[place.connector], self.by_place[place], self.total)
        self.total += 1
        self.by_connector[place.connector] += 1
        self.by_place[place] += 1
        return others

    def leave(self, place: Place) -> None:
        self.total -= 1
        _less(self.by_connector, place.connector)
        _less(self.by_place, place)


def _less(counter: Counter[T], key: T) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


RateKey = tuple[Limit, str, str]


class Rates:
    """States of rates by (limit, connector, key), in two generations: the older one is forgotten as a whole.

    A state is worth keeping for KEPT_S at most. Only a flood from very many addresses fills a generation before that,
    and costs no look at all of them.
    """

    def __init__(self, limit: int = MAX_RATES) -> None:
        self._most = limit // 2
        self._young: dict[RateKey, float] = {}
        self._old: dict[RateKey, float] = {}
        self._began = 0.0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, limit: Limit, connector: str, key: str) -> float | None:
        """The state that was booked last; None when nothing is."""
        at = limit, connector, key
        state = self._young.get(at)
        return self._old.get(at) if state is None else state

    def book(self, charges: Iterable[Charge]) -> None:
        """Store what a decision said."""
        for limit, connector, key, state in charges:
            self._young[limit, connector, key] = state
        if len(self._young) >= self._most:
            self._begin_generation()

    def age(self, now: float) -> None:
        """Forget what has run out. now: seconds since 1970."""
        if abs(now - self._began) > KEPT_S:  # or the clock was set
            self._began = now
            self._begin_generation()

    def _begin_generation(self) -> None:
        self._old, self._young = self._young, {}
