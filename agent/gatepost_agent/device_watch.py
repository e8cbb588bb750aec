"""What is odd about a client: many hosts behind its address, or far more mail than it usually sends.

Bounded for each device that `devices.py` keeps; times are seconds since 1970.
"""

MANY_NAMES = 20
NAMES_S = 600.0
HOUR_S = 3600.0
TIMES_USUAL = 10
FEWEST = 100  # messages an hour: below, nothing is odd, however little a device usually sends
KNOWN_HOURS = 3  # with mail, before there is a usual hour
WEIGHT = 1 / 8  # of the latest hour with mail in the usual one


class Names:
    """The HELO names of one address in the last ten minutes; more than MANY_NAMES are not kept apart."""

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        self._latest: dict[int, float] = {}  # by hash: a client chooses how long its names are

    def note(self, name: str, now: float) -> None:
        """The client called itself so."""
        key = hash(name.lower())
        self._latest.pop(key, None)
        self._latest[key] = now  # the last one stands at the end
        if len(self._latest) > MANY_NAMES + 1:
            del self._latest[next(iter(self._latest))]

    def are_many(self, now: float) -> bool:
        """Whether there were over MANY_NAMES in the last ten minutes."""
        return len(self._latest) > MANY_NAMES and next(iter(self._latest.values())) > now - NAMES_S


class Volume:
    """Messages of one address by the hour, from a total that only rises. `usual`: of an hour with mail, on average."""

    __slots__ = ("_hour", "_hours", "_started_at", "usual")

    def __init__(self) -> None:
        self.usual = 0.0
        self._hours = 0
        self._hour = -1
        self._started_at = 0

    def is_odd(self, total: int, now: float) -> bool:
        """Whether this hour has brought over TIMES_USUAL times as many messages as usual, and over FEWEST."""
        hour = int(now // HOUR_S)
        if self._hour < 0:
            self._hour = hour
        elif hour != self._hour:
            self._end_hour(total - self._started_at)
            self._hour, self._started_at = hour, total
        return self._exceeds(total - self._started_at)

    def _exceeds(self, sent: int) -> bool:
        return self._hours >= KNOWN_HOURS and sent > max(TIMES_USUAL * self.usual, FEWEST)

    def _end_hour(self, sent: int) -> None:
        """Let an hour with mail count. An odd one counts as two usual ones: a flood is not soon usual."""
        if sent > 0:
            counted = 2 * self.usual if self._exceeds(sent) else sent
            self.usual += max(WEIGHT, 1 / (self._hours + 1)) * (counted - self.usual)
            self._hours += 1
