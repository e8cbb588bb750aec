"""The daemon: one agent on one state folder, serving from disk first, then in touch with its control plane."""

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from typing import NamedTuple

from gatepost.wire import Health
from gatepost_agent.certificate_check import Checked, check_certificates
from gatepost_agent.control.faults import Fault, no_fault
from gatepost_agent.control.identity import load_identity
from gatepost_agent.control.side import Control, Outside
from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.current import Current
from gatepost_agent.delivery.config_folder import ConfigFolder
from gatepost_agent.delivery.pool import MOST_CONNECTIONS
from gatepost_agent.examination import Examination, Patient
from gatepost_agent.health import Conditions
from gatepost_agent.local.commands import Desk
from gatepost_agent.local.server import serving
from gatepost_agent.logs import configure_logs
from gatepost_agent.mail_log import MailLog
from gatepost_agent.metrics import write_metrics
from gatepost_agent.relay import Relay, RelayFigures
from gatepost_agent.sending import Sending
from gatepost_agent.settings import Settings, in_force
from gatepost_agent.smtp.limits import caps, open_file_limit
from gatepost_agent.smtp.server import Options as SmtpOptions
from gatepost_agent.smtp.server import SmtpServer
from gatepost_agent.spool.messages import SpoolLimits
from gatepost_agent.spool.spool import Spool
from gatepost_agent.upkeep import Chore, keep_up

log = logging.getLogger(__name__)

SENDING_DRAIN_S = 5.0
COMMAND_ENDS_S = 60.0  # for a `queue` command that found no agent and works on the spool itself
COLLECT_EVERY = (
    10_000  # objects: few die in cycles here, and to look at every 700 takes a twentieth of the time
)


class Options(NamedTuple):
    """How one run differs from another. fault: see control.faults; ready: called once mail is served."""

    hold_queue: bool = False
    fault: Fault = no_fault
    ready: Callable[[], None] = lambda: None


def run(settings: Settings, options: Options = Options()) -> None:  # noqa: B008 - a value
    """Run an agent until SIGTERM or SIGINT. Raises AgentError, SpoolError."""
    import uvloop

    gc.set_threshold(COLLECT_EVERY)
    folder = StateFolder.open(settings.state_dir, fault=options.fault)
    with folder.locked(patience_s=COMMAND_ENDS_S):
        identity = load_identity(folder)  # before a spool is made for an agent that nobody knows
        mail_log = MailLog(folder.path)
        configure_logs(settings.log_level, mail_log)
        log.info("settings in force: %s", in_force(settings))
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_Agent(folder, settings, options, mail_log, identity.name).live())
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            mail_log.close()


def _first(error: BaseException) -> BaseException:
    """What a person can act on, out of the groups that tasks leave."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Parts(NamedTuple):
    current: Current
    spool: Spool
    relay: Relay
    sending: Sending
    control: Control
    desk: Desk


class _Agent:
    def __init__(
        self, folder: StateFolder, settings: Settings, options: Options, mail_log: MailLog, name: str
    ) -> None:
        self._folder = folder
        self._name = name
        self._settings = settings
        self._options = options
        self._mail_log = mail_log
        self._find_certificate = ConfigFolder(settings.config_folder).certificate
        self._certificates = Checked()
        self._stopping = asyncio.Event()

    async def live(self) -> None:
        """From the first socket to the last."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        spool = await self._open_spool()
        try:
            await self._serve(spool)
        finally:
            await spool.close()
        log.info("stopped")

    async def _open_spool(self) -> Spool:
        settings = self._settings
        limits = SpoolLimits(
            max_messages=settings.max_queued_messages,
            max_bytes=settings.max_queued_bytes,
            free_floor=settings.free_disk_bytes,
        )
        return await Spool.open(settings.spool_folder, limits, hold_queue=self._options.hold_queue)

    def _sending(self, spool: Spool) -> Sending:
        most = min(MOST_CONNECTIONS, caps(open_file_limit()).deliveries)
        return Sending(spool, self._settings.config_folder, most)

    def _relay(self, current: Current, spool: Spool) -> SmtpServer:
        options = SmtpOptions(self._name, arrivals_per_minute=self._settings.max_connection_rate_per_minute)
        return SmtpServer(
            current,
            spool,
            state_folder=self._folder.path,
            certificate=self._find_certificate,
            options=options,
        )

    def _put_together(self, spool: Spool, tasks: asyncio.TaskGroup) -> _Parts:
        current, settings = Current(), self._settings
        sending, relay = self._sending(spool), self._relay(current, spool)
        figures, conditions = RelayFigures(relay, spool), Conditions()

        def health() -> Health:
            return conditions.health(examination.findings(), current.generation)

        outside = Outside(
            folder=self._folder,
            settings=settings,
            current=current,
            listening=relay.listening,
            figures=figures,
            health=health,
            swapped=sending.follow,
            denied_changed=relay.follow_denied,
            fault=self._options.fault,
        )
        control = Control(outside, tasks)
        patient = Patient(
            control=control,
            spool_status=spool.status,
            spool_counts=spool.counts,
            limited=relay.limited,
            certificates=lambda: "; ".join(
                filter(None, (relay.certificates(), *self._certificates.mismatched))
            ),
            ending=lambda: "; ".join(self._certificates.ending),
            odd_clients=relay.odd_clients,
            queue_old_s=settings.queue_old_s,
        )
        examination = Examination(patient)
        desk = Desk(
            control,
            spool,
            figures,
            health,
            self._mail_log,
            certificate_days=lambda: self._certificates.days_left,
            hops=sending.hops,
        )
        return _Parts(current, spool, relay, sending, control, desk)

    async def _serve(self, spool: Spool) -> None:
        async with asyncio.TaskGroup() as tasks:
            parts = self._put_together(spool, tasks)
            control, relay = parts.control, parts.relay
            await control.start()
            log.info("listening on %s", ", ".join(control.doors.addresses()) or "nothing: no config runs")
            async with serving(self._folder.path, parts.desk.commands()):
                self._options.ready()
                chores = tasks.create_task(keep_up(self._chores(parts)), name="upkeep")
                talk = tasks.create_task(control.run(), name="check-in")
                tasks.create_task(parts.sending.run(self._stopping, SENDING_DRAIN_S), name="delivery")
                await self._stopping.wait()
                log.info("stopping: sessions have %.0f s to finish", self._settings.drain_s)
                talk.cancel()
                chores.cancel()
                await relay.drain(self._settings.drain_s)
                await control.stop()

    def _chores(self, parts: _Parts) -> tuple[Chore, ...]:
        current, control = parts.current, parts.control

        async def flush() -> None:
            self._mail_log.flush()

        async def certificates() -> None:
            if current.policy is not None:
                self._certificates = await asyncio.to_thread(
                    check_certificates, current.policy, self._find_certificate
                )

        async def purge() -> None:
            await parts.spool.purge()

        async def metrics() -> None:
            if self._settings.metrics_file is not None:
                await asyncio.to_thread(write_metrics, self._settings.metrics_file, parts.desk.metrics())

        return (
            Chore("expiry", 1.0, control.expire, vital=True),
            Chore("listeners", 5.0, control.mind_doors),
            Chore("mail log", 1.0, flush),
            Chore("metrics file", 15.0, metrics),
            Chore("certificates", 60.0, certificates),
            Chore("old mail", 300.0, purge),
        )
