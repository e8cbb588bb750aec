"""What the agent notices about itself, each seen to be noticed and to end."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from gatepost.wire import Attempt, AttemptError, DeniedRange
from gatepost_agent.control.checkin import Contact
from gatepost_agent.examination import DISCONNECTED_S, STALLED_S, Examination, Patient
from gatepost_agent.health import BAD, GOOD, Finding
from gatepost_agent.spool.messages import Counts, SpoolStatus


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Host:
    """An agent in good health; a test makes it ill."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.applier = SimpleNamespace(config=object(), attempt=None, stored=True)
        self.is_drifted = False
        self.doors = SimpleNamespace(
            shut="", missing={}, addresses=lambda: ("0.0.0.0:25",), is_drifted=lambda: self.is_drifted
        )
        self.denials = SimpleNamespace(kept=(), local=())
        self.odd: tuple[Finding, ...] = ()
        self.clock_trouble = self.limit = self.certificate = self.ending = ""
        self.checkin = SimpleNamespace(contact=Contact(heard_at=self.clock.now), denied_problem="")
        self.status = SpoolStatus(
            queued=0, held=0, kept=0, bytes=0, oldest_received_at=None, room="ok", problems=()
        )
        self.totals: dict[tuple[str, str], int] = {}
        control: Any = SimpleNamespace(
            applier=self.applier,
            doors=self.doors,
            denials=self.denials,
            checkin=self.checkin,
            clock=SimpleNamespace(trouble=lambda: self.clock_trouble),
        )
        patient = Patient(
            control=control,
            spool_status=lambda: self.status,
            spool_counts=lambda: Counts("store", self.totals),
            limited=lambda: self.limit,
            odd_clients=lambda: self.odd,
            certificates=lambda: self.certificate,
            ending=lambda: self.ending,
            queue_old_s=3600,
        )
        self.examination = Examination(patient, self.clock)

    def found(self) -> dict[str, str]:
        return {finding.type: finding.reason for finding in self.examination.findings()}


@pytest.fixture
def host() -> Host:
    return Host()


def test_a_healthy_host_has_nothing_to_tell(host: Host) -> None:
    assert host.found() == {}


def _failed(host: Host) -> None:
    error = AttemptError(type="/problems/bind-failed", detail="0.0.0.0:25 is in use by postfix")
    host.applier.attempt = Attempt(
        generation=7, digest="d", outcome="rejected", phase="bind", errors=(error,)
    )


def _set(path: str, value: object) -> Any:
    def make(host: Host) -> None:
        *parts, last = path.split(".")
        target: Any = host
        for part in parts:
            target = getattr(target, part)
        setattr(target, last, value)

    return make


ILLNESSES: dict[str, tuple[Any, str, str]] = {
    "no config": (_set("applier.config", None), "ConfigApplied", "NoConfig"),
    "a failed attempt": (_failed, "LastAttemptFailed", "rejected"),
    "a disk that does not take the state": (_set("applier.stored", False), "StateNotStored", "DiskTrouble"),
    "denials after a return": (
        _set("denials.kept", (DeniedRange(range="10.0.0.1", effect="no_relay"),)),
        "RelayKeptShut",
        "AfterReturn",
    ),
    "a denial of this host": (
        _set("denials.local", (DeniedRange(range="10.0.0.1", reason="floods"),)),
        "DeniedHere",
        "Operator",
    ),
    "a missing listener": (_set("doors.missing", {"0.0.0.0:25": "in use"}), "ListenersReady", "BindFailed"),
    "shut listeners": (_set("doors.shut", "silence"), "ListenersReady", "Shut"),
    "other listeners": (_set("is_drifted", True), "Drifted", "OtherListeners"),
    "a refused identity": (_set("checkin.contact", Contact(1000, "410", 410)), "Disconnected", "Status410"),
    "two hosts of one identity": (
        _set("checkin.contact", Contact(1000, "409", 409)),
        "DuplicateIdentity",
        "TurnedAway",
    ),
    "a refused denied list": (_set("checkin.denied_problem", "bad"), "DeniedListRefused", "NotTaken"),
    "a wrong clock": (_set("clock_trouble", "a day off"), "ClockSkew", "ClockDiffers"),
    "no more sessions": (_set("limit", "files"), "LimitedByHost", "Limits"),
    "a certificate that ends": (_set("ending", "it ends 2030-06-30"), "CertificateExpiring", "EndsSoon"),
    "a wrong certificate": (_set("certificate", "for mx2"), "CertificateMismatch", "Certificate"),
}


@pytest.mark.parametrize("what", ILLNESSES)
def test_it_is_noticed_and_is_a_known_condition(host: Host, what: str) -> None:
    make_ill, condition, reason = ILLNESSES[what]
    make_ill(host)
    assert host.found() == {condition: reason}
    assert condition in GOOD | BAD


def test_silence_counts_after_some_minutes_only(host: Host) -> None:
    host.checkin.contact = Contact(host.clock.now, "connection refused")
    assert host.found() == {}
    host.clock.now += DISCONNECTED_S + 1
    assert host.found() == {"Disconnected": "Unreachable"}


def test_a_full_or_troubled_spool(host: Host) -> None:
    host.status = host.status._replace(room="full")
    assert host.found() == {"SpoolFull": "NoRoom"}
    host.status = host.status._replace(room="trouble")
    assert host.found() == {"SpoolTrouble": "Problems"}
    host.status = host.status._replace(room="ok", problems=("the disk failed",))
    assert host.found() == {"SpoolTrouble": "Problems"}


def test_old_mail(host: Host) -> None:
    host.status = host.status._replace(queued=1, oldest_received_at=time.time() - 3700)
    assert host.found() == {"QueueOld": "OldMessages"}


def test_delivery_that_moves_is_not_stalled(host: Host) -> None:
    host.status = host.status._replace(queued=5, oldest_received_at=time.time() - 1800)
    host.found()
    host.clock.now += STALLED_S + 1
    assert host.found() == {"DeliveryStalled": "NothingLeaves"}
    host.totals = {("Relay", "delivered"): 1}
    assert host.found() == {}


def test_an_empty_queue_is_never_stalled(host: Host) -> None:
    host.found()
    host.clock.now += STALLED_S * 2
    assert host.found() == {}
    host.status = host.status._replace(queued=1, oldest_received_at=time.time())
    assert host.found() == {}
