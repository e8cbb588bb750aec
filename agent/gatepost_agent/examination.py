"""What the agent looks at to say how it is. Looking only: nothing here changes what is relayed."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gatepost_agent.control.side import Control
from gatepost_agent.health import Finding
from gatepost_agent.spool.messages import Counts, SpoolStatus

DISCONNECTED_S = 180.0
STALLED_S = 900.0


class Patient(NamedTuple):
    """What is looked at. limited: what the host holds back (descriptors, memory); certificates: what is wrong there;
    ending: which of them end soon."""

    control: Control
    spool_status: Callable[[], SpoolStatus]
    spool_counts: Callable[[], Counts]
    limited: Callable[[], str]
    certificates: Callable[[], str]
    ending: Callable[[], str]
    odd_clients: Callable[[], tuple[Finding, ...]]
    queue_old_s: float


class Examination:
    """Findings of the moment; remembers when delivery last moved."""

    def __init__(self, patient: Patient, clock: Callable[[], float] = time.monotonic) -> None:
        self._patient = patient
        self._clock = clock
        self._ended = -1
        self._moved_at = clock()

    def findings(self) -> tuple[Finding, ...]:
        """Everything that is not as it should be."""
        return (
            *self._config(),
            *self._listeners(),
            *self._contact(),
            *self._spool(),
            *self._host(),
            *self._patient.odd_clients(),
        )

    def _config(self) -> Iterator[Finding]:
        applier = self._patient.control.applier
        if applier.config is None:
            yield Finding("ConfigApplied", "NoConfig", "no config runs: nothing is listened on")
        attempt = applier.attempt
        if attempt is not None and attempt.outcome in ("rejected", "rolled_back"):
            told = "; ".join(error.detail for error in attempt.errors)
            place = f"generation {attempt.generation}, {attempt.phase}"
            yield Finding("LastAttemptFailed", attempt.outcome, f"{place}: {told}")
        if not applier.stored:
            yield Finding(
                "StateNotStored", "DiskTrouble", "the state of the config could not be written to disk"
            )
        if here := self._patient.control.denials.local:
            told = ", ".join(f"{entry.range} ({entry.reason or 'no reason given'})" for entry in here[:20])
            yield Finding("DeniedHere", "Operator", f"no service on this host alone: {told}")
        if self._patient.control.denials.kept:
            told = ", ".join(entry.range for entry in self._patient.control.denials.kept[:20])
            yield Finding(
                "RelayKeptShut", "AfterReturn", f"no relay since the return to an older config: {told}"
            )

    def _listeners(self) -> Iterator[Finding]:
        doors, config = self._patient.control.doors, self._patient.control.applier.config
        if doors.shut:
            yield Finding("ListenersReady", "Shut", doors.shut)
        elif doors.missing:
            yield Finding("ListenersReady", "BindFailed", "; ".join(doors.missing.values()))
        elif config is not None and doors.is_drifted():
            held = ", ".join(doors.addresses()) or "nothing"
            yield Finding(
                "Drifted", "OtherListeners", f"listening on {held}, which is not what the config says"
            )

    def _contact(self) -> Iterator[Finding]:
        contact = self._patient.control.checkin.contact
        if contact.status == 409:
            yield Finding("DuplicateIdentity", "TurnedAway", contact.problem)
        elif contact.status:
            yield Finding("Disconnected", f"Status{contact.status}", contact.problem)
        elif contact.problem and self._clock() - contact.heard_at > DISCONNECTED_S:
            yield Finding("Disconnected", "Unreachable", contact.problem)
        if self._patient.control.checkin.denied_problem:
            yield Finding("DeniedListRefused", "NotTaken", self._patient.control.checkin.denied_problem)

    def _spool(self) -> Iterator[Finding]:
        status = self._patient.spool_status()
        if status.problems or status.room == "trouble":
            refused = ("clients are told to come again later (451)",) if status.room == "trouble" else ()
            yield Finding("SpoolTrouble", "Problems", "; ".join((*status.problems, *refused)))
        if status.room == "full":
            yield Finding("SpoolFull", "NoRoom", "clients are told to come again later (452)")
        age = time.time() - status.oldest_received_at if status.oldest_received_at is not None else 0.0
        if age > self._patient.queue_old_s:
            yield Finding(
                "QueueOld", "OldMessages", f"the oldest queued message is {age / 60:.0f} minutes old"
            )
        if self._is_stalled(status, age):
            minutes = (self._clock() - self._moved_at) / 60
            yield Finding(
                "DeliveryStalled", "NothingLeaves", f"no message has left for {minutes:.0f} minutes"
            )

    def _is_stalled(self, status: SpoolStatus, oldest_age_s: float) -> bool:
        totals = self._patient.spool_counts().totals
        ended = sum(total for (_, event), total in totals.items() if event not in ("accepted", "recipients"))
        if ended != self._ended or not status.queued:
            self._ended, self._moved_at = ended, self._clock()
        return min(self._clock() - self._moved_at, oldest_age_s) > STALLED_S

    def _host(self) -> Iterator[Finding]:
        if trouble := self._patient.control.clock.trouble():
            yield Finding("ClockSkew", "ClockDiffers", trouble)
        if limited := self._patient.limited():
            yield Finding("LimitedByHost", "Limits", limited)
        if wrong := self._patient.certificates():
            yield Finding("CertificateMismatch", "Certificate", wrong)
        if ending := self._patient.ending():
            yield Finding("CertificateExpiring", "EndsSoon", ending)
