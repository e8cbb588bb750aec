"""The SMTP side of the agent: listeners, sessions, what they count, and the way they end."""

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from gatepost.policy.dialogue.compiled import Endpoint, Policy
from gatepost.policy.dialogue.events import Interrupted
from gatepost.policy.dialogue.session import Session
from gatepost.policy.model.addresses import Address, parse_address
from gatepost.wire import CounterSet, DeviceRow, HitRow
from gatepost_agent.counters import Counters
from gatepost_agent.current import Current
from gatepost_agent.devices import Devices
from gatepost_agent.health import Finding
from gatepost_agent.protocol_log import ProtocolLog
from gatepost_agent.smtp.account import Books
from gatepost_agent.smtp.certificates import Certificates
from gatepost_agent.smtp.host import Host
from gatepost_agent.smtp.input import Budget
from gatepost_agent.smtp.ledger import Rates, Sessions
from gatepost_agent.smtp.limits import Caps, caps, open_file_limit
from gatepost_agent.smtp.listeners import Listeners
from gatepost_agent.smtp.protocol import SmtpProtocol
from gatepost_agent.spool.spool import Spool

log = logging.getLogger(__name__)

INPUT_BYTES = 32 * 1024**2
"""Octets of input that all sessions together may hold before they stop reading."""
FLUSH_S = 10.0
COMMIT_S = 10.0
"""Time after the end of a drain for commits under way; then connections are cut, commits go on in the spool."""
_DRAINING = Interrupted("draining")


class Options(NamedTuple):
    """What differs between a daemon and a test, or is a host's own setting.

    open_files: None is the process's own limit, raised if it may be. arrivals_per_minute: as in Usage.
    """

    server: str = ""
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    open_files: int | None = None
    input_bytes: int = INPUT_BYTES
    arrivals_per_minute: int = 0


_DEFAULTS = Options()


@lru_cache(maxsize=4096)
def _address(text: str) -> Address:
    return parse_address(text)


class SmtpServer:
    """Implements `relay.Relay`. Made on the running loop; ends with `drain`."""

    def __init__(
        self,
        current: Current,
        spool: Spool,
        *,
        state_folder: Path,
        certificate: Callable[[str], Path],
        options: Options = _DEFAULTS,
    ) -> None:
        """certificate: gives the path of a named certificate (chain and key in one PEM file). Raises OSError."""
        self._current = current
        self._caps: Caps = caps(options.open_files or open_file_limit())
        self._counters = Counters(state_folder / "counters", options.clock)
        self._devices = Devices(options.clock)
        self._protocol_log = ProtocolLog(
            state_folder / "log" / "smtp", server=options.server or socket.gethostname(), clock=options.clock
        )
        self._host = Host(
            current=current,
            spool=spool,
            sessions=Sessions(),
            rates=Rates(),
            books=Books(self._counters, self._devices, self._protocol_log),
            certificates=Certificates(certificate),
            budget=Budget(options.input_bytes),
            session_cap=self._caps.sessions,
            arrivals_per_minute=options.arrivals_per_minute,
            clock=options.clock,
            sleep=options.sleep,
        )
        self._loop = asyncio.get_running_loop()
        self._open: dict[asyncio.Task[None], SmtpProtocol] = {}
        self._is_draining = False
        self._is_idle = asyncio.Event()
        # Unique on this host, over restarts too: as many 100 ns as have passed are never used up.
        self._session_ids = itertools.count(int(options.clock() * 1e7))
        self.listening = Listeners(self._accept, self._may_accept)
        self._upkeep = self._loop.create_task(self._keep_up(), name="smtp-upkeep")

    # -- figures

    @property
    def sessions(self) -> int:
        """Open sessions."""
        return len(self._open)

    def counters(self) -> tuple[CounterSet, ...]:
        """This incarnation's totals and those of earlier ones: `sessions`, `refused <reply>`,
        `tolerated <what>`, `tls_failed`."""
        return self._counters.sets()

    def acknowledge(self, incarnation: str) -> None:
        """The control plane has a closed incarnation's totals."""
        self._counters.acknowledge(incarnation)

    def renew(self) -> None:
        """Begin a new incarnation."""
        self._counters.renew()

    def devices(self) -> tuple[DeviceRow, ...]:
        """The clients seen lately, last first."""
        return self._devices.rows()

    def hits(self) -> tuple[HitRow, ...]:
        """When each range last took a client, last first."""
        return self._devices.hits()

    def odd_clients(self) -> tuple[Finding, ...]:
        """Clients that are not as usual."""
        return self._devices.odd()

    def limited(self) -> str:
        """What this host holds back, or nothing."""
        if not self._may_accept():
            return f"all {self._caps.accepted} sessions that the limit of open files allows are in use"
        if self._host.budget.exceeded:
            return f"sessions hold more than {self._host.budget.limit} octets of input: reading is paused"
        if self._protocol_log.lost:
            return f"{self._protocol_log.lost} rows of the protocol log were lost: the disk does not keep up"
        return ""

    def certificates(self) -> str:
        """What is wrong with the running connectors' certificates, or nothing. Reads files."""
        policy = self._current.policy
        connectors = policy.connectors.values() if policy else ()
        found = (self._host.certificates.trouble(connector.model) for connector in connectors)
        return "; ".join(sorted({trouble for trouble in found if trouble}))

    # -- accepting

    def _may_accept(self) -> bool:
        return len(self._open) < self._caps.accepted

    def _accept(self, connection: socket.socket, client: Any) -> None:
        """The policy is that of this moment: who still came through a door that closes is let in by it."""
        policy = self._current.policy
        if policy is None:
            connection.close()
            return
        try:
            session = self._session(policy, connection, client)
        except OSError:  # gone already
            connection.close()
            return
        except Exception:
            log.exception("no session could be made: the connection is closed")
            connection.close()
            return
        protocol = SmtpProtocol(
            self._host, session, counted=(client[0], client[1]) not in self._current.probes
        )
        if self._is_draining:
            protocol.interrupt(_DRAINING)
        task = self._loop.create_task(protocol.serve(connection), name="smtp-session")
        self._open[task] = protocol
        task.add_done_callback(self._ended)

    def _session(self, policy: Policy, connection: socket.socket, client: Any) -> Session:
        local = connection.getsockname()
        return Session(
            policy,
            local=Endpoint(_address(local[0]), local[1]),
            remote=Endpoint(_address(client[0]), client[1]),
            session_id=f"{next(self._session_ids):016X}",
        )

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self._open[task]
        if not self._open:
            self._is_idle.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a session ended in an error", exc_info=error)

    # -- ending

    def follow_denied(self) -> None:
        """The denied set has changed: those who lost all service hear 421 now, not at their next command."""
        denied = self._current.denied
        for protocol in self._open.values():
            denial = denied.lookup(protocol.remote)
            if denial is not None and denial.effect == "no_service":
                protocol.interrupt(Interrupted("blocked"))

    async def drain(self, deadline_s: float) -> None:
        """Stop accepting; 421 to who waits, time to finish for the rest, then 421 to them. Commits are never cut:
        what is still in one after COMMIT_S more has lost its client, but goes on in the spool."""
        if self._is_draining:
            return
        self._is_draining = True
        await self.listening.close()
        await self._interrupt_all(deadline_s, hard=False)
        await self._interrupt_all(COMMIT_S, hard=True)
        for protocol in self._open.values():
            protocol.abort()
        ending = [self._upkeep, *self._open]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await self._flush()
        self._counters.close()

    async def _interrupt_all(self, within_s: float, *, hard: bool) -> None:
        if not self._open:
            return
        self._is_idle.clear()
        for protocol in list(self._open.values()):
            protocol.interrupt(_DRAINING, hard=hard)
        try:
            async with asyncio.timeout(within_s):
                await self._is_idle.wait()
        except TimeoutError:
            log.info("%d sessions are still open", len(self._open))

    # -- upkeep

    async def _keep_up(self) -> None:
        beat = 0
        while True:
            await asyncio.sleep(1.0)
            beat += 1
            await self._write_protocol_log()
            if beat % FLUSH_S == 0:
                await self._flush()
                self._host.rates.age(self._host.clock())

    async def _flush(self) -> None:
        await self._write_protocol_log()
        try:
            await asyncio.to_thread(self._counters.flush)
            self._counters.prune()
        except OSError as error:
            log.warning("counters were not written to disk: %s", error)

    async def _write_protocol_log(self) -> None:
        rows = self._protocol_log.take()
        if not rows:
            return
        try:
            await asyncio.to_thread(self._protocol_log.write, rows)
        except OSError as error:
            self._protocol_log.lost += len(rows)
            log.warning("%d rows of the protocol log were not written: %s", len(rows), error)
