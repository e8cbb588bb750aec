"""The places where a test can end the process or make the disk fail. In production nothing is called but `no_fault`."""

from collections.abc import Callable

# In the order in which one large message, one group and one delivery pass them.
POINTS = (
    "body-created",
    "body-written",
    "body-synced",
    "folder-synced",
    "group-begun",
    "group-written",
    "group-committed",
    "group-answered",
    "body-unlinked",
    "checkpoint-done",
)

Fault = Callable[[str], None]


def no_fault(point: str) -> None:
    """Nothing happens at `point`."""
