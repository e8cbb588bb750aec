"""Messages kept in memory, within a budget, so that what was just received is delivered without reading the disk."""

from gatepost_agent.spool.messages import QueuedMessage

_OVERHEAD = 2048  # octets that a message takes apart from its body, about


class Resident:
    """Full means that later messages are read from the disk when their turn comes: the oldest go first anyway."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._kept: dict[int, tuple[QueuedMessage, bytes | None]] = {}
        self._used = 0

    def offer(self, message: QueuedMessage, body: bytes | None) -> None:
        """Keep it if there is room."""
        weight = _OVERHEAD + len(body or b"")
        if self._used + weight <= self._budget and message.id not in self._kept:
            self._kept[message.id] = (message, body)
            self._used += weight

    def get(self, queue_id: int) -> tuple[QueuedMessage, bytes | None] | None:
        """The message, with its body unless that is in a file."""
        return self._kept.get(queue_id)

    def drop(self, queue_id: int) -> None:
        """It has been attempted: if it waits again, it waits on the disk."""
        if found := self._kept.pop(queue_id, None):
            self._used -= _OVERHEAD + len(found[1] or b"")
