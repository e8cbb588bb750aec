"""Which of several smart hosts is first: each in turn."""

import itertools
from collections import defaultdict
from collections.abc import Iterator

from gatepost.policy.dialogue.routing import Hop, SmartHost, turned


class Turns:
    """A count for each choice of smart hosts.

    With one count for all mail, a message to one send connector would use up another's turn, and a regular pattern of
    mail would leave hosts idle.
    """

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[SmartHost, ...], Iterator[int]] = defaultdict(itertools.count)

    def ordered(self, hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
        """A route's hops, in the order for the next batch."""
        hosts = tuple(hop for hop in hops if isinstance(hop, SmartHost))
        return turned(hops, next(self._counts[hosts])) if len(hosts) > 1 else hops
