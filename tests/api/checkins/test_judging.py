"""What a report means: the offer rule and the state machine, as tables of cases."""

import pytest

from gatepost.wire import Attempt, AttemptError, CheckinRequest, Outcome, Running
from gatepost_api.checkins.judging import Change, change_of, is_offered, unknown_generation
from gatepost_api.fleet import Desired

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def desired(generation: int = 5, state: str = "pending", digest: str | None = DIGEST) -> Desired:
    return Desired(
        server_id="srv_1",
        name="mx1",
        server_state="active",
        generation=generation,
        digest=digest,
        revision=3,
        state=state,
        reason="",
        fqdn="",
        addresses={},
        published_at=0.0,
    )


def report(
    running: tuple[int, str] | None = None, attempt: tuple[int, Outcome] | None = None, settled: bool = True
) -> CheckinRequest:
    return CheckinRequest(
        seq=1,
        incarnation="incarnation-1",
        running=Running(generation=running[0], digest=running[1], settled=settled) if running else None,
        last_attempt=Attempt(
            generation=attempt[0],
            digest=DIGEST,
            outcome=attempt[1],
            errors=(AttemptError(type="t", detail="why"),),
        )
        if attempt
        else None,
    )


@pytest.mark.parametrize(
    ("wanted", "said", "offered"),
    [
        (desired(), report(), True),  # never tried
        (desired(), report((4, OTHER), (4, "applied")), True),
        (desired(), report((5, DIGEST), (5, "applied")), False),  # runs it
        (desired(), report((4, OTHER), (5, "rejected")), False),  # never a rejected one again
        (desired(), report((4, OTHER), (5, "rolled_back")), False),
        (desired(), report((4, OTHER), (5, "applying")), False),  # in the middle of it
        (desired(6), report((4, OTHER), (5, "rejected")), True),  # a retry is a new generation
        (desired(), report((4, OTHER), (5, "applied")), True),  # lost it: a snapshot, a disk
        (desired(digest=None), report(), False),
        (desired(0), report(), False),
        (desired(state="held"), report(), False),
        (desired(state="blocked"), report(), False),
    ],
)
def test_the_offer_rule(wanted: Desired, said: CheckinRequest, offered: bool) -> None:
    assert is_offered(wanted, said) is offered


@pytest.mark.parametrize(
    ("wanted", "said", "change"),
    [
        (desired(state="offered"), report((4, OTHER), (5, "applying")), Change("applying")),
        (desired(state="applying"), report((5, DIGEST), (5, "applied"), settled=False), Change("running")),
        (desired(state="running"), report((5, DIGEST), (5, "applied")), Change("settled")),
        (desired(state="settled"), report((5, DIGEST), (5, "applied")), None),  # the same again: no-op
        (desired(state="offered"), report((4, OTHER), (5, "rejected")), Change("rejected", "why")),
        (desired(state="running"), report((4, OTHER), (5, "rolled_back")), Change("rolled_back", "why")),
        (desired(6), report((4, OTHER), (5, "rejected")), None),  # an older generation is history
        (desired(state="none", digest=None), report(), None),
    ],
)
def test_the_state_machine(wanted: Desired, said: CheckinRequest, change: Change | None) -> None:
    assert change_of(wanted, said) == change


def test_a_generation_that_was_not_issued_here_holds_the_server() -> None:
    said = report((9, OTHER), (9, "applied"))
    change = change_of(desired(), said)
    assert change is not None
    assert change.state == "held"
    assert "9" in change.reason
    assert "adopt" in change.reason
    assert change_of(desired(state="held"), said) is None
    assert unknown_generation(desired(9), said) == ""


def test_an_offer_that_failed_verification_holds_nobody() -> None:
    said = report((4, OTHER), (900, "rejected"))
    assert said.last_attempt is not None
    forged = said.last_attempt.model_copy(update={"phase": "verify"})
    assert change_of(desired(), said.model_copy(update={"last_attempt": forged})) is None
    assert is_offered(desired(), said.model_copy(update={"last_attempt": forged}))
