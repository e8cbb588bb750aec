"""The local commands of a running agent."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from gatepost.wire import Health
from gatepost_agent.control.report import Figures
from gatepost_agent.control.side import Control
from gatepost_agent.errors import UsageRefused
from gatepost_agent.health import noteworthy
from gatepost_agent.local.queue import queue_commands
from gatepost_agent.local.selection import Hops
from gatepost_agent.local.wire import Command, Row
from gatepost_agent.mail_log import MailLog
from gatepost_agent.metrics import Gauges, rendered
from gatepost_agent.spool.spool import Spool


class Desk:
    """Answers what the command line asks."""

    def __init__(
        self,
        control: Control,
        spool: Spool,
        figures: Figures,
        health: Callable[[], Health],
        mail_log: MailLog,
        *,
        certificate_days: Callable[[], Mapping[str, float]],
        hops: Hops,
    ) -> None:
        self._control = control
        self._spool = spool
        self._figures = figures
        self._health = health
        self._mail_log = mail_log
        self._certificate_days = certificate_days
        self._hops = hops

    def commands(self) -> dict[str, Command]:
        """By name."""
        return {
            "status": self.status,
            "deny": self.deny,
            "lift": self.lift,
            "trust": self.trust,
            "set-url": self.set_url,
            "clock": self.clock,
            "flush": self.flush,
            **queue_commands(self._spool, hops=self._hops),
        }

    def metrics(self) -> str:
        """The metrics of this moment, as text."""
        running = self._control.applier.running
        return rendered(
            Gauges(
                running_generation=running.generation if running else 0,
                settled=running.settled if running else False,
                health=self._health(),
                queue=self._figures.queue(),
                counters=self._figures.counters(),
                denied_ranges=len(self._control.denials.all()),
                control_plane_silent_s=self._silent_s(),
                certificate_days=self._certificate_days(),
            )
        )

    async def status(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        """Everything that an operator on the host asks first."""
        del arguments
        control, health = self._control, self._health()
        running, attempt = control.applier.running, control.applier.attempt
        yield {
            "server": control.identity.name,
            "server_id": control.identity.server_id,
            "urls": list(control.identity.urls),
            "health": health.status,
            "running": running.model_dump() if running else None,
            "last_attempt": attempt.model_dump() if attempt else None,
            "listening": list(control.doors.addresses()),
            "missing": control.doors.missing,
            "conditions": [c.model_dump() for c in noteworthy(health)],
            "queue": self._figures.queue(),
            "denied": [entry.model_dump() for entry in control.denials.all()],
            "denied_version": control.denials.fleet.version,
            "clock": {
                "now": control.clock.now(),
                "held_s": control.clock.held_s,
                "control_plane_ahead_s": control.clock.skew_s,
            },
            "control_plane": {
                "silent_s": round(self._silent_s(), 1),
                "problem": control.checkin.contact.problem,
                "held": control.checkin.contact.held,
            },
            "trusted_keys": [key.fingerprint for key in control.keys.trusted()],
        }

    async def deny(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        self._control.denials.deny(str(arguments.get("range", "")), str(arguments.get("reason", "")))
        yield self._denied()

    async def lift(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        self._control.denials.lift(str(arguments.get("range", "")))
        yield self._denied()

    async def trust(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        yield {"expected": self._control.keys.expect(str(arguments.get("fingerprint", "")))}

    async def set_url(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        urls = arguments.get("urls")
        if not isinstance(urls, list) or not urls:
            raise UsageRefused("give at least one URL")
        yield {"urls": list(await self._control.set_urls(tuple(str(url) for url in urls)))}

    async def clock(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        if arguments.get("reset"):
            self._control.clock.reset()
            await self._control.applier.recompile()
        yield {"now": self._control.clock.now(), "trouble": self._control.clock.trouble()}

    async def flush(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        """Put what the mail log holds in memory into its file."""
        del arguments
        self._mail_log.flush()
        yield {}

    def _denied(self) -> Row:
        return {"denied": [entry.model_dump() for entry in self._control.denials.all()]}

    def _silent_s(self) -> float:
        return max(0.0, time.monotonic() - self._control.checkin.contact.heard_at)
