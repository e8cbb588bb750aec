"""The control side put together: what the daemon starts, runs and stops."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from gatepost.policy.dialogue.compiled import Policy
from gatepost.wire import Health
from gatepost_agent.control.apply import Applier, Surroundings
from gatepost_agent.control.checkin import Cadence, CheckIn, Parts, fetch_bundle
from gatepost_agent.control.clock import SAVE_EVERY_S, SteadyClock
from gatepost_agent.control.credential import Credential
from gatepost_agent.control.denied import Denials
from gatepost_agent.control.doors import Doors
from gatepost_agent.control.faults import Fault, no_fault
from gatepost_agent.control.files import check_files
from gatepost_agent.control.guard import FILE, Guard
from gatepost_agent.control.identity import load_identity, save_identity
from gatepost_agent.control.keys import Keys
from gatepost_agent.control.link import Link
from gatepost_agent.control.prepare import Config
from gatepost_agent.control.probation import SelfTest
from gatepost_agent.control.report import Figures, Reporter, Sources
from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.control.store import Store
from gatepost_agent.current import Current, Listening
from gatepost_agent.delivery.config_folder import ConfigFolder
from gatepost_agent.settings import Settings

log = logging.getLogger(__name__)


class Outside(NamedTuple):
    """What the control side is given: the relay's parts, and who is told of a swap."""

    folder: StateFolder
    settings: Settings
    current: Current
    listening: Listening
    figures: Figures
    health: Callable[[], Health]
    swapped: Callable[[Policy | None], None]
    denied_changed: Callable[[], None]
    fault: Fault = no_fault


class Control:
    """Start it before anything is dialled; then `run` it."""

    def __init__(self, outside: Outside, tasks: asyncio.TaskGroup) -> None:
        folder, settings = outside.folder, outside.settings
        self._folder = folder
        self._settings = settings
        self.identity = load_identity(folder)
        self.clock = SteadyClock(folder, save_every_s=min(SAVE_EVERY_S, _interval_s(settings)))
        self.doors = Doors(outside.listening)
        self.denials = Denials(folder, outside.current, self.identity.server_id, outside.denied_changed)
        credential = Credential(folder)
        self._link = Link(self.identity.urls, ca_file=self.identity.ca_file, bearer=credential)
        self.keys = Keys(folder, self._link)
        changed = asyncio.Event()
        self.applier = Applier(self._surroundings(outside, changed), tasks)
        self.reporter = Reporter(
            Sources(
                standing=self.applier,
                figures=outside.figures,
                health=outside.health,
                listening=self.doors.addresses,
                denied_version=lambda: self.denials.fleet.version,
            )
        )
        self.checkin = CheckIn(self._parts(credential), changed)

    def _surroundings(self, outside: Outside, changed: asyncio.Event) -> Surroundings:
        self_test = SelfTest(outside.current)
        secrets = ConfigFolder(self._settings.config_folder)

        async def prove(config: Config, probation_s: float) -> str:
            return await self_test.prove(config.policy.bindings, probation_s)

        return Surroundings(
            server_id=self.identity.server_id,
            store=Store(self._folder),
            current=outside.current,
            doors=self.doors,
            denials=self.denials,
            clock=self.clock,
            guard=Guard(self._settings.config_folder / FILE),
            keys=self.keys.trusted,
            check=lambda config: check_files(config.policy, secrets),
            fetch=partial(fetch_bundle, self._link),
            prove=prove,
            changed=changed.set,
            swapped=outside.swapped,
            fault=outside.fault,
        )

    def _parts(self, credential: Credential) -> Parts:
        settings = self._settings
        return Parts(
            link=self._link,
            reporter=self.reporter,
            applier=self.applier,
            denials=self.denials,
            clock=self.clock,
            credential=credential,
            keys=self.keys,
            cadence=Cadence(
                first_s=settings.first_checkin_within_s,
                interval_s=_interval_s(settings),
                retry_max_s=settings.retry_max_s,
                turned_away_s=settings.turned_away_retry_s,
            ),
        )

    async def start(self) -> None:
        """Serve what the disk says, unless the control plane is silent for too long. Raises OSError."""
        self.doors.shut = self._silence()
        await self.applier.start()

    async def run(self) -> None:
        """Check in until cancelled."""
        await self.checkin.run()

    async def stop(self) -> None:
        """Say goodbye, and leave on disk that the stop was meant."""
        await self.applier.stop()
        await self.checkin.goodbye()
        await self._link.close()
        self.clock.save()

    async def set_urls(self, urls: tuple[str, ...]) -> tuple[str, ...]:
        """Go to other addresses of the control plane, now and after a restart. Raises UsageRefused, OSError."""
        await self._link.use(urls)
        self.identity = self.identity.model_copy(update={"urls": self._link.urls})
        save_identity(self._folder, self.identity)
        return self._link.urls

    # --- chores --------------------------------------------------------------------------------------------

    async def expire(self) -> None:
        """Compile anew when a range has expired."""
        await asyncio.to_thread(self.clock.save_sometimes)
        config = self.applier.config
        due = config.policy.next_change if config else None
        if due is not None and due <= self.clock.now():
            await self.applier.recompile()

    async def mind_doors(self) -> None:
        """Listen where a start could not; stop, and begin again, as `stop_after_disconnected_s` says."""
        silence = self._silence()
        if silence and not self.doors.shut:
            log.error("listeners close: %s", silence)
            await self.applier.shut_doors(silence)
        elif not silence and (self.doors.shut or self.doors.missing):
            await self.applier.open_doors()

    def _silence(self) -> str:
        """Why listeners have to be shut, or nothing."""
        limit_s = self._settings.stop_after_disconnected_s
        is_too_long = limit_s and time.monotonic() - self.checkin.contact.heard_at > limit_s
        return f"the control plane was not heard for {limit_s:.0f} s" if is_too_long else ""


def _interval_s(settings: Settings) -> float:
    """How long a check-in may be parked: an agent that stops in silence has to hear more often than that."""
    limit_s = settings.stop_after_disconnected_s
    return min(settings.report_interval_s, limit_s / 3) if limit_s else settings.report_interval_s
