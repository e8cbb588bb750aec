"""Answering a check-in: take the report, park while there is nothing to say, then say it.

No database session is open while a check-in waits, and what it is answered comes from memory.
"""

import hashlib
import time
from datetime import UTC, datetime
from typing import NamedTuple

import structlog

from gatepost.signing import Signed, Signer
from gatepost.wire import (
    INLINE_BUNDLE_BYTES,
    PROTOCOL,
    CheckinReply,
    CheckinRequest,
    Condition,
    DeniedList,
    Directives,
    Offer,
)
from gatepost_api.checkins.identity import Stream
from gatepost_api.checkins.intake import Intake
from gatepost_api.checkins.judging import Change, change_of, is_offered
from gatepost_api.checkins.parking import Parking
from gatepost_api.checkins.repository import Entry
from gatepost_api.errors import DuplicateIdentity, NotFound, ProtocolTooOld
from gatepost_api.fleet import Desired, Fleet
from gatepost_api.settings import Settings

RECONNECT_SPREAD_S = 30
_AHEAD = (
    "The host has a later denied set than this control plane, which was restored from a backup. It keeps it, and "
    "nothing can be blocked or unblocked until an admin says what shall be blocked: `gatepost overwrite-blocked`."
)
log = structlog.get_logger("gatepost_api")


class Caller(NamedTuple):
    """What is known of the one request beside the report."""

    server_id: str
    remote: str
    token_is_old: bool
    wait_s: float


class Desk:
    """The check-ins of this process."""

    def __init__(
        self, settings: Settings, signer: Signer, *, fleet: Fleet, parking: Parking, intake: Intake
    ) -> None:
        self._settings = settings
        self._signer = signer
        self._fleet = fleet
        self._parking = parking
        self._intake = intake
        self._streams: dict[str, Stream] = {}
        self._stored: dict[str, str] = {}  # server -> hash of the report that the database holds
        self._duplicates: dict[str, str] = {}  # server -> addresses of two hosts that share its identity

    async def answer(self, caller: Caller, report: CheckinRequest) -> CheckinReply:
        """The reply to a report; it may take `caller.wait_s` seconds."""
        if report.protocol < PROTOCOL:
            raise ProtocolTooOld(f"The agent speaks protocol {report.protocol}, {PROTOCOL} is needed.")
        went_back = self._judge_stream(caller, report)
        await self._take(caller.server_id, report)
        directives = Directives(
            wait_s=self._settings.max_wait_s,
            resend_facts=report.facts is None and not report.facts_digest,
            new_incarnation=went_back,
            rotate_token=caller.token_is_old,
        )
        if not self._has_news(caller.server_id, report) and not (went_back or caller.token_is_old):
            await self._parking.wait(caller.server_id, caller.wait_s)
            self._intake.heard(caller.server_id, datetime.now(UTC))
        return await self._reply(caller.server_id, report, directives)

    async def goodbye(self, caller: Caller, report: CheckinRequest) -> None:
        """A clean stop: the last report counts, and the server is offline at once."""
        self._judge_stream(caller, report)
        await self._take(caller.server_id, report)
        self._intake.heard(caller.server_id, datetime.now(UTC), goodbye=True)

    async def bundle(self, server_id: str, digest: str) -> bytes:
        """A bundle's envelope, if it is the one offered to this server. NotFound otherwise."""
        if self._fleet.desired[server_id].digest != digest:
            raise NotFound("This bundle is not offered to this server.")
        envelope = await self._fleet.bundle(digest)
        if envelope is None:
            raise NotFound("There is no such bundle.")
        return envelope

    def _judge_stream(self, caller: Caller, report: CheckinRequest) -> bool:
        """Whether the host went back in time. DuplicateIdentity for the later of two hosts."""
        stream = self._streams.setdefault(caller.server_id, Stream())
        verdict = stream.judge(report.incarnation, report.seq, time.monotonic())
        if verdict == "duplicate":
            self._duplicates[caller.server_id] = caller.remote
            log.warning("duplicate identity", server_id=caller.server_id, remote=caller.remote)
            raise DuplicateIdentity("Another host uses this identity and had it first. Enrol this one anew.")
        return verdict == "went_back"

    async def _take(self, server_id: str, report: CheckinRequest) -> None:
        """Store what the report says that is not stored yet; the state machine moves with it."""
        now = datetime.now(UTC)
        self._intake.heard(server_id, now)
        await self._fleet.learn_of_denied(self._fleet.desired[server_id].name, report.denied_version)
        desired = self._fleet.desired[server_id]
        change = change_of(desired, report)
        report = self._with_conditions(server_id, report)
        content = report.model_dump_json(include={"facts", "running", "last_attempt", "health", "queue"})
        print_ = hashlib.sha256(content.encode()).hexdigest()
        same = self._stored.get(server_id) == print_ and not (
            report.counters or report.devices or report.hits
        )
        if same and change is None:
            return
        await self._intake.store(
            Entry(server_id=server_id, at=now, report=report, generation=desired.generation, change=change)
        )
        self._stored[server_id] = print_
        self._move(desired, change)

    def _with_conditions(self, server_id: str, report: CheckinRequest) -> CheckinRequest:
        """The report with what we know of the host and it does not; each of it is at least `degraded`."""
        found = []
        if other := self._duplicates.get(server_id):
            message = f"Another host at {other} used the same identity and was turned away."
            found.append(
                Condition(type="DuplicateIdentity", status="True", reason="TwoHosts", message=message)
            )
        if report.denied_version > self._fleet.denied_v:
            found.append(
                Condition(type="DeniedSetAhead", status="True", reason="RestoredBackup", message=_AHEAD)
            )
        if not found:
            return report
        health = report.health
        status = "degraded" if health.status == "ok" else health.status
        told = {"status": status, "conditions": (*health.conditions, *found)}
        return report.model_copy(update={"health": health.model_copy(update=told)})

    def _move(self, desired: Desired, change: Change | None) -> None:
        """Take a stored change of state into memory, unless something newer came meanwhile."""
        present = self._fleet.desired[desired.server_id]
        if change is not None and present.generation == desired.generation:
            self._fleet.desired[desired.server_id] = present._replace(
                state=change.state, reason=change.reason
            )
            self._fleet.announce()

    def _has_news(self, server_id: str, report: CheckinRequest) -> bool:
        desired = self._fleet.desired[server_id]
        return is_offered(desired, report) or report.denied_version < self._fleet.denied_v

    async def _reply(self, server_id: str, report: CheckinRequest, directives: Directives) -> CheckinReply:
        desired = self._fleet.desired[server_id]
        offer = bundle = None
        if is_offered(desired, report) and desired.digest is not None:
            offer = self._offer(desired, desired.digest)
            envelope = await self._fleet.bundle(desired.digest)
            if envelope is not None and len(envelope) <= INLINE_BUNDLE_BYTES:
                bundle = Signed.model_validate_json(envelope)
            self._mark_offered(desired)
        if self._parking.draining:
            spread = int.from_bytes(hashlib.sha256(server_id.encode()).digest()[:4], "big") / 2**32
            directives = directives.model_copy(update={"reconnect_after_s": spread * RECONNECT_SPREAD_S})
        return CheckinReply(
            server_time=time.time(),
            acknowledged_seq=report.seq,
            offer=offer,
            bundle=bundle,
            denied=self._denied(server_id) if report.denied_version < self._fleet.denied_v else None,
            held=desired.reason if desired.state in {"held", "blocked"} else "",
            directives=directives,
        )

    def _offer(self, desired: Desired, digest: str) -> Signed:
        offer = Offer(
            server_id=desired.server_id,
            server=desired.name,
            generation=desired.generation,
            revision=desired.revision or 0,
            digest=digest,
            fqdn=desired.fqdn,
            addresses=dict(desired.addresses),
            published_at=desired.published_at,
            probation_s=self._settings.probation_s,
            deadline_s=self._settings.offer_deadline_s,
        )
        return self._signer.sign("offer", offer.model_dump_json().encode())

    def _mark_offered(self, desired: Desired) -> None:
        if desired.state == "pending":
            change = Change("offered")
            self._intake.note(
                Entry(
                    server_id=desired.server_id,
                    at=datetime.now(UTC),
                    generation=desired.generation,
                    change=change,
                )
            )
            self._move(desired, change)

    def _denied(self, server_id: str) -> Signed:
        listed = DeniedList(server_id=server_id, version=self._fleet.denied_v, entries=self._fleet.denied)
        return self._signer.sign("directive", listed.model_dump_json().encode())
