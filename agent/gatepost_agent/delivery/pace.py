"""How fast and how wide to go towards one next hop. Values with the time as an argument: no clock, no I/O."""

from dataclasses import dataclass

from gatepost.policy.dialogue.throttle import take

FIRST_WIDTH = 4.0
CALM_S = 1.0  # several troubles within this time are one: the connections all met the same wall
FIRST_REST_S = 5.0
LONGEST_REST_S = 300.0
MOST_WAITING = 300
FEWEST_WAITING = 20
FIRST_RETRY_S = 30.0
LONGEST_RETRY_S = 1800.0


def retry_after_s(attempts: int, chance: float) -> float:
    """Seconds until a message is tried again after so many attempts: doubling, spread by `chance` (0 to 1)."""
    return min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(max(attempts - 1, 0), 16)) * (0.8 + 0.4 * chance)


@dataclass(slots=True)
class Width:
    """How many connections: one more for each round without trouble, half of them after one with (AIMD)."""

    most: int
    now: float = FIRST_WIDTH
    _eased_at: float = float("-inf")

    @property
    def limit(self) -> int:
        """Connections allowed, at least one."""
        return max(1, min(self.most, int(self.now)))

    def went_well(self) -> None:
        """One message was taken without a 4xx."""
        self.now = min(float(self.most), self.now + 1 / max(self.now, 1.0))

    def met_trouble(self, at_s: float) -> None:
        """A 4xx, or a connection that ended before its time."""
        if at_s - self._eased_at >= CALM_S:
            self._eased_at = at_s
            self.now = max(1.0, min(self.now, self.most) / 2)


@dataclass(slots=True)
class Room:
    """How many messages may wait for a next hop: about what it took in the last two seconds when they had to wait.

    A fast one is kept busy, a slow or silent one holds up little of what delivery can have under way.
    """

    limit: int = MOST_WAITING
    _taken: int = 0
    _since: float = float("-inf")

    def took_one(self) -> None:
        """The next hop dealt with a message."""
        self._taken += 1

    def look(self, at_s: float, waiting: int) -> int:
        """The limit now; judged anew once a second."""
        age = at_s - self._since
        if age >= 1.0:
            judged = max(FEWEST_WAITING, min(MOST_WAITING, int(2 * self._taken / age)))
            self.limit = judged if waiting else MOST_WAITING
            self._taken, self._since = 0, at_s
        return self.limit


@dataclass(slots=True)
class Circuit:
    """Whether to dial at all: rests after a failed dial, longer each time."""

    failures: int = 0
    failed_at: float = float("-inf")
    rests_until: float = 0.0
    why: str = ""

    def resting(self, at_s: float) -> bool:
        """Whether a dial would come too soon."""
        return at_s < self.rests_until

    def failed(self, at_s: float, chance: float, why: str) -> None:
        """No session could be opened; `chance` (0 to 1) spreads the next dials of many agents."""
        rest = min(LONGEST_REST_S, FIRST_REST_S * 2 ** min(self.failures, 10))
        self.failures += 1
        self.failed_at = at_s
        self.rests_until = at_s + rest * (0.8 + 0.4 * chance)
        self.why = why

    def end_rest(self, before_s: float) -> None:
        """Dial again at once if the last failure was before that time; what was learned of it stays."""
        if self.failed_at < before_s:
            self.rests_until = 0.0

    def opened(self) -> None:
        """A session stands."""
        self.failures = 0
        self.rests_until = 0.0


@dataclass(slots=True)
class Rate:
    """Messages a minute; a minute's worth may go at once."""

    per_minute: int
    _state: float | None = None

    def take(self, at_s: float) -> float:
        """Take one: 0 when there was one, else the seconds until there will be (none is taken)."""
        self._state, allowed = take(self._state, at_s, self.per_minute)
        return 0.0 if allowed else self.wait(at_s)

    def wait(self, at_s: float) -> float:
        """Seconds until there is one, 0 when there is one now."""
        _, allowed = take(self._state, at_s, self.per_minute)
        if allowed or self._state is None:
            return 0.0
        return (
            max(0.0, self._state - at_s - 60.0 + 30.0 / self.per_minute) + 0.001
        )  # and a little, for rounding
