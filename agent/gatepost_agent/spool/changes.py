"""What one caller wants changed in the database, and several callers' changes as one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gatepost_agent.spool.codec import Row

CountKey = tuple[str, str]  # connector, event


@dataclass(slots=True)
class Change:
    """Takes effect as a whole or not at all.

    inserts: rows of COLUMNS. bodies: (id, body) of those that are not in files. updates: id -> id and CHANGING,
    which touch nothing when the message is gone. deletes: ids. counts: what to add. origins: (origin, id) of
    imported messages.
    """

    inserts: list[Row] = field(default_factory=list)
    bodies: list[tuple[int, bytes]] = field(default_factory=list)
    updates: dict[int, Row] = field(default_factory=dict)
    deletes: list[int] = field(default_factory=list)
    counts: dict[CountKey, int] = field(default_factory=dict)
    origins: list[tuple[str, int]] = field(default_factory=list)

    @property
    def weight(self) -> int:
        """Octets of body that it writes."""
        return sum(len(body) for _, body in self.bodies)


def add_counts(total: dict[CountKey, int], more: Mapping[CountKey, int]) -> None:
    """Add `more` to `total`."""
    for key, number in more.items():
        total[key] = total.get(key, 0) + number


def merged(changes: Iterable[Change]) -> Change:
    """All of them, in order, as one: so many callers, one transaction, one statement per table."""
    total = Change()
    for change in changes:
        total.inserts += change.inserts
        total.bodies += change.bodies
        total.updates |= change.updates
        total.deletes += change.deletes
        total.origins += change.origins
        add_counts(total.counts, change.counts)
    return total
