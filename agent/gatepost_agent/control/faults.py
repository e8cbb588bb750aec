"""The places where a test can end the process or make the disk fail while a config is applied."""

from collections.abc import Callable

# In the order in which one apply passes them.
POINTS = (
    "verified",
    "prepared",
    "staged",
    "config:written",
    "config:synced",
    "config:renamed",
    "config:folder-synced",
    "trying:written",
    "trying:synced",
    "trying:renamed",
    "trying:folder-synced",
    "persisted",
    "listening",
    "swapped",
    "settled:written",
    "settled:synced",
    "settled:renamed",
    "settled:folder-synced",
    "settled",
)

Fault = Callable[[str], None]


def no_fault(point: str) -> None:
    """Nothing happens at `point`."""
