"""What a report means: whether to offer, which state it puts the assignment in, whether to hold. Pure.

The state machine of one generation on one server: pending -> offered -> applying -> running -> settled, or
rejected, or rolled_back. A report for an older generation is history and changes nothing.
"""

from typing import NamedTuple

from gatepost.wire import CheckinRequest
from gatepost_api.fleet import Desired

FAILED = frozenset({"rejected", "rolled_back"})
NOT_OFFERED = frozenset({"none", "blocked", "held"})


class Change(NamedTuple):
    """A new state of an assignment, and why."""

    state: str
    reason: str = ""


def is_offered(desired: Desired, report: CheckinRequest) -> bool:
    """Whether this report is answered with the assignment: it was never tried, or the host has lost it.

    One that ended rejected or rolled back is never offered again; one in the middle of its attempt is left alone.
    """
    if desired.digest is None or desired.generation < 1 or desired.state in NOT_OFFERED:
        return False
    attempt = report.last_attempt
    if attempt is None or desired.generation > attempt.generation:
        return report.running is None or not _runs(desired, report)
    if report.running is not None and report.running.digest == desired.digest:
        return False
    tried = attempt.generation == desired.generation
    return not (tried and (attempt.outcome in FAILED or attempt.outcome == "applying"))


def _runs(desired: Desired, report: CheckinRequest) -> bool:
    running = report.running
    return running is not None and (running.generation, running.digest) == (
        desired.generation,
        desired.digest,
    )


def change_of(desired: Desired, report: CheckinRequest) -> Change | None:
    """The state that the report puts the assignment in, or None when it changes nothing."""
    strange = unknown_generation(desired, report)
    if strange:
        return None if desired.state == "held" else Change("held", strange)
    if desired.state in NOT_OFFERED:
        return None
    attempt = report.last_attempt
    state: str | None = None
    if _runs(desired, report):
        settled = report.running is not None and report.running.settled
        state = "settled" if settled else "running"
    elif attempt is not None and attempt.generation == desired.generation:
        state = "running" if attempt.outcome == "applied" else attempt.outcome
    if state is None or state == desired.state:
        return None
    failed = attempt is not None and state in FAILED
    reason = "; ".join(error.detail for error in attempt.errors)[:1000] if failed and attempt else ""
    return Change(state, reason)


def unknown_generation(desired: Desired, report: CheckinRequest) -> str:
    """Why the server has to be held: it reports a generation that was not issued here. Empty when all is well.

    It happens when the control plane was restored from a backup, or two hosts share an identity. What an offer that
    failed verification claims to be counts for nothing: anybody on the way may have made it.
    """
    attempt = report.last_attempt if report.last_attempt and report.last_attempt.phase != "verify" else None
    highest = max((item.generation for item in (report.running, attempt) if item is not None), default=0)
    if highest <= desired.generation:
        return ""
    return (
        f"It reports generation {highest}, this control plane has issued {desired.generation}. "
        "Choose adopt (it keeps what it runs) or overwrite (it gets what is published)."
    )
