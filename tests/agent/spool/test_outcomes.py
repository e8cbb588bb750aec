"""What attempts make of a message."""

import pytest

from gatepost_agent.spool.messages import (
    EXPIRE_AFTER_S,
    Kind,
    QueuedMessage,
    RecipientState,
    RecipientStatus,
    Result,
    Standing,
)
from gatepost_agent.spool.outcomes import arrival_counts, deletion_counts, retried, settled
from tests.agent.spool.samples import envelope, outcome

A, B, C = "a@fabrikam.com", "b@fabrikam.com", "c@fabrikam.com"
CONNECTOR = "Anonymous Relay"


def message(*addresses: str) -> QueuedMessage:
    states = tuple(map(RecipientState, addresses))
    return QueuedMessage(1, "<1@x>", envelope(*addresses), states, 9, 1.0, 1.0, 1000.0)


def settle(
    before: QueuedMessage, *results: tuple[str, Result], next_attempt: float | None = 60.0
) -> QueuedMessage | None:
    outcomes = [outcome(address, result) for address, result in results]
    return settled(before, outcomes, next_attempt=next_attempt, keep_until=500.0).message


def test_all_done_leaves_nothing() -> None:
    assert settle(message(A, B), (A, Result.DONE), (B, Result.DONE)) is None


@pytest.mark.parametrize(
    ("results", "standing"),
    [
        ([(A, Result.NEVER), (B, Result.DONE)], Standing.FAILED),
        ([(A, Result.EXPIRED), (B, Result.DONE)], Standing.EXPIRED),
        ([(A, Result.EXPIRED), (B, Result.NEVER)], Standing.FAILED),
    ],
)
def test_whoever_did_not_get_it_keeps_it_for_operators(
    results: list[tuple[str, Result]], standing: Standing
) -> None:
    after = settle(message(A, B), *results)
    assert after is not None
    assert (after.standing, after.keep_until, after.attempts) == (standing, 500.0, 1)


def test_whoever_is_pending_is_tried_again_at_the_given_time() -> None:
    after = settle(message(A, B, C), (A, Result.DONE), (B, Result.NOT_NOW))
    assert after is not None
    assert (after.pending, after.next_attempt, after.attempts, after.standing) == (
        (B, C),
        60.0,
        1,
        Standing.QUEUED,
    )
    assert [state.attempts for state in after.recipients] == [1, 1, 0]


def test_an_attempt_that_goes_on_is_not_counted_yet() -> None:
    after = settle(message(A, B), (A, Result.DONE), next_attempt=None)
    assert after is not None
    assert (after.pending, after.next_attempt, after.attempts) == ((B,), 1.0, 0)


def test_an_outcome_for_somebody_who_is_done_or_unknown_changes_nothing() -> None:
    before = settle(message(A, B), (A, Result.DONE), (B, Result.NOT_NOW))
    assert before is not None
    again = settled(
        before, [outcome(A, Result.NEVER), outcome(C, Result.NEVER)], next_attempt=9.0, keep_until=1.0
    )
    assert again.message is not None
    assert again.message.recipients == before.recipients
    assert again.counts == {}


def test_a_retry_is_for_those_who_did_not_get_it() -> None:
    before = settle(message(A, B, C), (A, Result.DONE), (B, Result.NEVER), (C, Result.EXPIRED))
    assert before is not None
    again = retried(before, now=50.0, expires_at=99.0)
    assert again.pending == (B, C)
    assert again.recipients[0].status is RecipientStatus.DONE
    assert (again.standing, again.keep_until, again.next_attempt, again.expires_at) == (
        Standing.QUEUED,
        None,
        50.0,
        99.0,
    )


def test_a_retry_is_a_new_beginning() -> None:
    new = message(A)._replace(received_at=1_780_000_000.3, next_attempt=1_780_000_000.3)
    new = new._replace(expires_at=new.received_at + EXPIRE_AFTER_S)
    assert new.lives_from == pytest.approx(new.received_at, abs=1e-3)
    assert new.retried_at is None
    expired = settle(new, (A, Result.EXPIRED), next_attempt=new.expires_at)
    assert expired is not None
    assert expired.retried_at is None
    now = new.received_at + 500_000
    again = retried(expired, now=now, expires_at=now + EXPIRE_AFTER_S)
    assert again.lives_from == pytest.approx(now, abs=1e-3)
    assert (again.retried_at, again.attempts) == (now, 0)
    tried = settle(again, (A, Result.NOT_NOW), next_attempt=now + 30)
    assert tried is not None
    assert tried.retried_at is None


def test_what_is_counted() -> None:
    assert arrival_counts(message(A, B)) == {(CONNECTOR, "accepted"): 1, (CONNECTOR, "recipients"): 2}
    assert arrival_counts(message(A)._replace(kind=Kind.BOUNCE)) == {(CONNECTOR, "reports"): 1}
    assert arrival_counts(message(A, B)._replace(origin="x:1")) == {(CONNECTOR, "imported"): 2}
    assert deletion_counts([message(A, B), message(C)]) == {(CONNECTOR, "deleted"): 3}
    outcomes = [outcome(A), outcome(B, Result.NEVER), outcome(C, Result.EXPIRED)]
    counted = settled(message(A, B, C), outcomes, next_attempt=None, keep_until=1.0).counts
    assert counted == {(CONNECTOR, event): 1 for event in ("delivered", "bounced", "expired")}
