"""What operators do to the queue. Each function runs in the writer's thread, in turn with the commits."""

from collections.abc import Sequence
from typing import NamedTuple

from gatepost_agent.spool.changes import Change, CountKey, add_counts
from gatepost_agent.spool.codec import to_update
from gatepost_agent.spool.messages import QueuedMessage, Standing
from gatepost_agent.spool.outcomes import deletion_counts, retried
from gatepost_agent.spool.store import Store

_PURGED_AT_ONCE = 500


class Retried(NamedTuple):
    """Ids that were queued all along, and kept messages that are queued again."""

    queued: list[int]
    again: list[QueuedMessage]


def retry(store: Store, ids: Sequence[int], *, now: float, expires_at: float) -> Retried:
    """Make queued messages due now, and put failed and expired ones back with time until `expires_at`.

    Attempts count anew for both: `QueuedMessage.retried_at` tells delivery, without a column of its own.
    """
    store.mark(ids, "attempts", 0)
    queued = store.mark(ids, "next_attempt", now)
    kept = [message for message in store.messages(ids) if message.standing is not Standing.QUEUED]
    again = [retried(message, now=now, expires_at=expires_at) for message in kept]
    if again:
        counts: dict[CountKey, int] = {}
        for before, after in zip(kept, again, strict=True):
            more = len(after.pending) - len(before.pending)
            add_counts(counts, {(after.envelope.connector, "retried"): more})
        updates = {message.id: to_update(message) for message in again}
        store.apply(Change(updates=updates, counts=counts))
    return Retried(queued, again)


def delete(store: Store, ids: Sequence[int]) -> list[QueuedMessage]:
    """Delete queued or kept messages; returns those there were."""
    return _delete(store, store.messages(ids))


def purge(store: Store, now: float) -> list[QueuedMessage]:
    """Delete failed and expired messages that have been kept long enough, some hundreds at once."""
    return _delete(store, store.outdated(now, _PURGED_AT_ONCE))


def _delete(store: Store, messages: list[QueuedMessage]) -> list[QueuedMessage]:
    if messages:
        deletes = [message.id for message in messages]
        store.apply(Change(deletes=deletes, counts=deletion_counts(messages)))
    return messages
