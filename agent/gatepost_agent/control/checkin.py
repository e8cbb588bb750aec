"""The check-in loop: report, park, do what comes back. Nothing that goes wrong here reaches the relay."""

import asyncio
import logging
import random
import time
from typing import NamedTuple

from pydantic import ValidationError

from gatepost.signing import Signed
from gatepost.wire import MAX_BUNDLE_BYTES, CheckinReply, CheckinRequest, Directives
from gatepost_agent.control.apply import Applier
from gatepost_agent.control.clock import SteadyClock
from gatepost_agent.control.credential import Credential
from gatepost_agent.control.denied import Denials, Refused
from gatepost_agent.control.keys import Keys, refresh_quietly
from gatepost_agent.control.link import Link, LinkError, Overloaded, TurnedAway, Unreachable
from gatepost_agent.control.report import Reporter

log = logging.getLogger(__name__)

CHECKIN, GOODBYE, BUNDLES = "/agent/v1/checkin", "/agent/v1/goodbye", "/agent/v1/bundles/"
DEBOUNCE_S = 0.2
QUICK_S = 1.0  # an answer sooner than this, with nothing new in it, is no reason to ask again at once
GOODBYE_S = 3.0


class Cadence(NamedTuple):
    """How often to ask, in seconds. first: within this after a start that already serves mail."""

    first_s: float = 10.0
    interval_s: float = 60.0
    retry_max_s: float = 60.0
    turned_away_s: float = 300.0


class Contact(NamedTuple):
    """How the last exchange went: `problem` is empty when it went well. since: monotonic seconds."""

    heard_at: float
    problem: str = ""
    status: int = 0
    held: str = ""


class Parts(NamedTuple):
    """What the loop works with."""

    link: Link
    reporter: Reporter
    applier: Applier
    denials: Denials
    clock: SteadyClock
    credential: Credential
    keys: Keys
    cadence: Cadence


class CheckIn:
    """One conversation with the control plane, for the life of the process."""

    def __init__(self, parts: Parts, changed: asyncio.Event) -> None:
        """`changed` is set by whoever changes something that is reported: it is said soon."""
        self._parts = parts
        self._changed = changed
        self._wait_s = 55.0
        self._failures = 0
        self._empty = 0
        self.contact = Contact(heard_at=time.monotonic() - parts.clock.silent_s)
        self.denied_problem = ""

    async def run(self) -> None:
        """Check in for ever."""
        if self._parts.applier.config is not None:
            await asyncio.sleep(random.uniform(0, self._parts.cadence.first_s))  # noqa: S311 - spreads load
        while True:
            pause_s = await self._turn()
            await asyncio.sleep(pause_s)

    async def goodbye(self) -> None:
        """Tell the control plane that this stop is meant. Not being heard is no trouble."""
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._parts.link.post(GOODBYE, self._parts.reporter.report())
        except (LinkError, TimeoutError) as error:
            log.info("no goodbye: %s", error)

    async def _turn(self) -> float:
        """One exchange; returns how long to wait before the next, in seconds."""
        try:
            pause = await self._exchange()
        except Overloaded as error:
            self._lost(error)
            return error.retry_after_s * random.uniform(1, 1.5)  # noqa: S311
        except TurnedAway as error:
            return self._turned_away(error)
        except LinkError as error:
            self._lost(error)
        except OSError as error:  # a token or key that the disk does not take; the old one goes on
            log.error("the answer could not be kept: %s", error)
        except Exception:  # a bug here, or what a client made of a report, must not end the relay
            log.exception("an exchange with the control plane failed; mail goes on")
        else:
            self._failures = 0
            return pause
        self._failures += 1
        return _backoff(self._failures, self._parts.cadence.retry_max_s)

    async def _exchange(self) -> float:
        self._changed.clear()
        report = self._parts.reporter.report()
        asked_at = time.monotonic()
        reply = await self._poll(report)
        if reply is None:
            return 0.0
        is_news = await self._obey(reply, report)
        if reply.directives.reconnect_after_s:
            return min(reply.directives.reconnect_after_s, 600.0)
        if is_news or time.monotonic() - asked_at > QUICK_S or self._changed.is_set():
            self._empty = 0
            return 0.0
        self._empty += 1
        return _backoff(self._empty, self._parts.cadence.retry_max_s)

    async def _poll(self, report: CheckinRequest) -> CheckinReply | None:
        """The answer to a report, or None when there is something newer to report. Raises LinkError."""
        wait_s = min(self._wait_s, self._parts.cadence.interval_s) * random.uniform(0.75, 1)  # noqa: S311
        if self.contact.problem:
            wait_s = 0.0  # so that the end of an outage shows at once
        async with asyncio.TaskGroup() as group:
            poll = group.create_task(_caught(self._parts.link, report, wait_s), name="poll")
            change = group.create_task(self._change(), name="change")
            await asyncio.wait((poll, change), return_when=asyncio.FIRST_COMPLETED)
            change.cancel()
            if not poll.done():
                poll.cancel()
        if poll.cancelled():
            return None
        outcome = poll.result()
        if isinstance(outcome, LinkError):
            raise outcome
        return outcome

    async def _change(self) -> None:
        await self._changed.wait()
        await asyncio.sleep(DEBOUNCE_S)

    # --- what comes back -----------------------------------------------------------------------------------

    async def _obey(self, reply: CheckinReply, report: CheckinRequest) -> bool:
        """Do what an answer says; returns whether anything in it was new. Raises LinkError."""
        parts = self._parts
        self.contact = Contact(time.monotonic(), held=reply.held)
        parts.clock.heard(reply.server_time)
        parts.reporter.acknowledged(report)
        is_news = await self._direct(reply.directives)
        if reply.denied is not None:
            is_news |= await self._deny(reply.denied)
        if reply.offer is not None:
            await self._know(reply.offer)
            is_news |= await parts.applier.apply(reply.offer, reply.bundle)
        return is_news

    async def _direct(self, directives: Directives) -> bool:
        self._wait_s = min(max(directives.wait_s, 1.0), 300.0)
        if directives.new_incarnation:
            self._parts.reporter.renew()
        elif directives.resend_facts:
            self._parts.reporter.forget()
        if directives.rotate_token:
            await self._parts.credential.rotate(self._parts.link)
        return directives.new_incarnation or directives.resend_facts or directives.rotate_token

    async def _deny(self, signed: Signed) -> bool:
        await self._know(signed)
        before = self._parts.denials.fleet.version
        try:
            self._parts.denials.take(signed, self._parts.keys.trusted())
            self.denied_problem = ""
        except (Refused, OSError) as error:
            log.error("the denied list stays as it is: %s", error)
            self.denied_problem = str(error)
        return self._parts.denials.fleet.version != before

    async def _know(self, signed: Signed) -> None:
        if not self._parts.keys.knows(signed):
            await refresh_quietly(self._parts.keys)

    # --- what goes wrong -----------------------------------------------------------------------------------

    def _turned_away(self, error: TurnedAway) -> float:
        was_well = not self.contact.problem
        self._lost(error, error.status)
        if error.status == 401 and self._parts.credential.fall_back() and was_well:
            return 0.0  # with the other token
        return self._parts.cadence.turned_away_s * random.uniform(0.5, 1)  # noqa: S311

    def _lost(self, error: LinkError, status: int = 0) -> None:
        if not self.contact.problem:
            log.warning("the control plane cannot be heard; mail goes on: %s", error)
        self.contact = self.contact._replace(problem=str(error), status=status)


async def fetch_bundle(link: Link, digest: str) -> Signed:
    """A bundle by digest. Raises LinkError."""
    content = await link.get(BUNDLES + digest, limit=MAX_BUNDLE_BYTES * 4 // 3 + 4096)
    try:
        return Signed.model_validate_json(content)
    except ValidationError as error:
        raise Unreachable(f"{link.url} sent no bundle") from error


async def _caught(link: Link, report: CheckinRequest, wait_s: float) -> CheckinReply | LinkError:
    """An answer, or why there is none: as a value, so that it is not an exception group."""
    try:
        content = await link.post(CHECKIN, report, wait_s=wait_s)
        return CheckinReply.model_validate_json(content)
    except ValidationError:
        return Unreachable(f"{link.url} does not answer as a Gatepost control plane")
    except LinkError as error:
        return error


def _backoff(failures: int, longest_s: float) -> float:
    """Full jitter: anything up to 1 s, doubled for each failure, up to the longest."""
    return random.uniform(0, min(longest_s, 2.0 ** min(failures - 1, 16)))  # noqa: S311
