"""What an attempt, or an operator, makes of a message: values in, values out."""

from collections.abc import Iterable
from typing import NamedTuple

from gatepost_agent.spool.changes import CountKey, add_counts
from gatepost_agent.spool.messages import (
    Kind,
    Outcome,
    QueuedMessage,
    RecipientState,
    RecipientStatus,
    Result,
    Standing,
)

_STATUS = {
    Result.DONE: RecipientStatus.DONE,
    Result.NOT_NOW: RecipientStatus.PENDING,
    Result.NEVER: RecipientStatus.FAILED,
    Result.EXPIRED: RecipientStatus.EXPIRED,
}
_EVENT = {Result.DONE: "delivered", Result.NEVER: "bounced", Result.EXPIRED: "expired"}


class Settled(NamedTuple):
    """The message as it now stands (None: all done, to be deleted), and what to count."""

    message: QueuedMessage | None
    counts: dict[CountKey, int]


def settled(
    message: QueuedMessage, outcomes: Iterable[Outcome], *, next_attempt: float | None, keep_until: float
) -> Settled:
    """Apply `outcomes` to the recipients that are still pending; without `next_attempt` the attempt goes on."""
    by_address = {outcome.recipient: outcome for outcome in outcomes}
    counts: dict[CountKey, int] = {}
    states = []
    for state in message.recipients:
        outcome = by_address.get(state.address)
        if outcome is None or state.status is not RecipientStatus.PENDING:
            states.append(state)
            continue
        states.append(_after(state, outcome))
        if event := _EVENT.get(outcome.result):
            add_counts(counts, {(message.envelope.connector, event): 1})
    return Settled(_standing(message, tuple(states), next_attempt, keep_until), counts)


def _after(state: RecipientState, outcome: Outcome) -> RecipientState:
    return RecipientState(
        address=state.address,
        status=_STATUS[outcome.result],
        last_reply=outcome.reply,
        next_hop=outcome.next_hop,
        attempts=state.attempts + 1,
    )


def _standing(
    message: QueuedMessage,
    recipients: tuple[RecipientState, ...],
    next_attempt: float | None,
    keep_until: float,
) -> QueuedMessage | None:
    found = {state.status for state in recipients}
    if found <= {RecipientStatus.DONE}:
        return None
    message = message._replace(recipients=recipients)
    if RecipientStatus.PENDING in found and next_attempt is None:
        return message
    message = message._replace(attempts=message.attempts + 1)
    if RecipientStatus.PENDING in found:
        return message._replace(next_attempt=next_attempt or 0.0)
    standing = Standing.FAILED if RecipientStatus.FAILED in found else Standing.EXPIRED
    return message._replace(standing=standing, keep_until=keep_until)


def retried(message: QueuedMessage, *, now: float, expires_at: float) -> QueuedMessage:
    """A failed or expired message goes back in the queue, as if new, for the recipients that did not get it."""
    recipients = tuple(
        state if state.status is RecipientStatus.DONE else state._replace(status=RecipientStatus.PENDING)
        for state in message.recipients
    )
    return message._replace(
        recipients=recipients,
        standing=Standing.QUEUED,
        keep_until=None,
        next_attempt=now,
        attempts=0,
        expires_at=expires_at,
    )


def arrival_counts(message: QueuedMessage) -> dict[CountKey, int]:
    """What to count when `message` enters the queue."""
    connector = message.envelope.connector
    if message.origin is not None:
        return {(connector, "imported"): len(message.pending)}
    if message.kind is Kind.BOUNCE:
        return {(connector, "reports"): len(message.recipients)}
    return {(connector, "accepted"): 1, (connector, "recipients"): len(message.recipients)}


def deletion_counts(messages: Iterable[QueuedMessage]) -> dict[CountKey, int]:
    """What to count when operators delete: the recipients who will now never get it."""
    counts: dict[CountKey, int] = {}
    for message in messages:
        add_counts(counts, {(message.envelope.connector, "deleted"): len(message.pending)})
    return counts
