"""Who is in, and how much they have sent: the numbers behind `Usage`, in bounded memory.

The whole concurrency rule: a session reads its usage, steps and books the charges in one turn of the loop.
"""

import heapq
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from gatepost.policy.dialogue.decision import Charge, Limit

T = TypeVar("T")

MAX_RATES = 100_000


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
    """States of rates by (limit, connector, key). A state that lies in the past is the same as none."""

    def __init__(self, limit: int = MAX_RATES) -> None:
        self._limit = limit
        self.states: dict[RateKey, float] = {}

    def book(self, charges: Iterable[Charge], now: float) -> None:
        """Store what the decisions said. now: seconds since 1970."""
        for limit, connector, key, state in charges:
            self.states[limit, connector, key] = state
        if len(self.states) > self._limit:
            self.prune(now)

    def prune(self, now: float) -> None:
        """Forget what has run out; if there are still too many, a tenth that would run out first.

        Only a flood from very many addresses gets that far, and it loses the states that matter least.
        """
        self.states = {key: state for key, state in self.states.items() if state > now}
        if len(self.states) > self._limit:
            for key in heapq.nsmallest(self._limit // 10 + 1, self.states, key=lambda key: self.states[key]):
                del self.states[key]
