"""What is due when: the index in memory. The event loop's own; no I/O, no clock.

An entry is small (a message with its body may be far away), so a long queue fits; whether a heap's item still counts
is told by comparing it with the entry.
"""

from collections.abc import Iterable
from heapq import heappop, heappush

from gatepost_agent.spool.store import Listed


class Entry:
    """One queued message, as far as the schedule cares."""

    __slots__ = ("held", "next_attempt", "received_at", "size", "taken")

    def __init__(self, *, next_attempt: float, received_at: float, size: int, held: bool) -> None:
        self.next_attempt = next_attempt
        self.received_at = received_at
        self.size = size
        self.held = held
        self.taken = False


class Schedule:
    """Queued messages by the time of their next attempt; kept ones only counted."""

    def __init__(self) -> None:
        self.queued: dict[int, Entry] = {}  # in the order of arrival
        self.kept: dict[int, int] = {}  # id -> size
        self.bytes = 0
        self.held = 0
        self._heap: list[tuple[float, int]] = []

    def load(self, listed: Iterable[Listed]) -> None:
        """Begin anew with what the store holds. What was taken stays taken."""
        taken = {queue_id for queue_id, entry in self.queued.items() if entry.taken}
        self.__init__()  # type: ignore[misc]
        for item in listed:
            if item.kept:
                self.keep(item.id, item.size)
            else:
                self.add(item.id, item.next_attempt, item.received_at, item.size, held=item.held)
                self.queued[item.id].taken = item.id in taken

    def add(
        self, queue_id: int, next_attempt: float, received_at: float, size: int, *, held: bool = False
    ) -> None:
        """A message has been stored."""
        self.queued[queue_id] = Entry(
            next_attempt=next_attempt, received_at=received_at, size=size, held=held
        )
        self.bytes += size
        self.held += held
        if not held:
            heappush(self._heap, (next_attempt, queue_id))

    def keep(self, queue_id: int, size: int) -> None:
        """A failed or expired message stays for the operators."""
        self.kept[queue_id] = size
        self.bytes += size

    def remove(self, queue_id: int) -> None:
        """The message is gone, wherever it was."""
        entry = self.queued.pop(queue_id, None)
        self.bytes -= entry.size if entry else self.kept.pop(queue_id, 0)
        self.held -= entry.held if entry else 0

    def take_due(self, now: float, limit: int) -> list[int]:
        """Up to `limit` ids that are due, longest due first; taken until `give_back` or `remove`."""
        ids: list[int] = []
        while len(ids) < limit and (due := self.next_due()) is not None and due <= now:
            queue_id = heappop(self._heap)[1]
            self.queued[queue_id].taken = True
            ids.append(queue_id)
        return ids

    def next_due(self) -> float | None:
        """When the next attempt of any message is due; None when there is nothing to do."""
        while self._heap:
            next_attempt, queue_id = self._heap[0]
            entry = self.queued.get(queue_id)
            if entry and entry.next_attempt == next_attempt and not (entry.held or entry.taken):
                return next_attempt
            heappop(self._heap)
        return None

    def give_back(self, queue_id: int, next_attempt: float | None = None) -> None:
        """A taken message waits again, by default for the time it was due."""
        if entry := self.queued.get(queue_id):
            entry.taken = False
            self._put(queue_id, entry, next_attempt)

    def set_due(self, queue_id: int, next_attempt: float) -> None:
        """An operator wants it tried at another time."""
        if entry := self.queued.get(queue_id):
            self._put(queue_id, entry, next_attempt)

    def set_held(self, queue_id: int, *, held: bool) -> None:
        """A held message is not due until it is released."""
        if entry := self.queued.get(queue_id):
            self.held += held - entry.held
            entry.held = held
            self._put(queue_id, entry, None)

    def _put(self, queue_id: int, entry: Entry, next_attempt: float | None) -> None:
        if next_attempt is not None:
            entry.next_attempt = next_attempt
        if not (entry.held or entry.taken):
            heappush(self._heap, (entry.next_attempt, queue_id))

    def oldest(self) -> float | None:
        """When the longest waiting message that is not held was received."""
        return next((entry.received_at for entry in self.queued.values() if not entry.held), None)
