"""An applier on a real state folder and real sockets, with a greeter in the SMTP shell's place."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from gatepost.policy.model.bundle import Bundle
from gatepost.policy.model.connector import ReceiveConnector
from gatepost.signing import PublicKey, Signed
from gatepost_agent.control.apply import Applier, Surroundings
from gatepost_agent.control.clock import SteadyClock
from gatepost_agent.control.denied import Denials
from gatepost_agent.control.doors import Doors
from gatepost_agent.control.faults import Fault, no_fault
from gatepost_agent.control.files import check_files
from gatepost_agent.control.guard import Guard
from gatepost_agent.control.prepare import Config
from gatepost_agent.control.probation import SelfTest
from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.control.store import Store
from gatepost_agent.current import Current
from gatepost_agent.delivery.config_folder import ConfigFolder
from gatepost_agent.smtp.listeners import Listeners
from tests.agent.control.control_plane import SERVER_ID, ControlPlane

RELAY = {"principal": r"NT AUTHORITY\ANONYMOUS LOGON", "rights": ["Ms-Exch-SMTP-Accept-Any-Recipient"]}


def connector(
    name: str, ranges: Sequence[Any], *bindings: str, relays: bool = False, **more: Any
) -> ReceiveConnector:
    """A connector for anonymous clients."""
    return ReceiveConnector(
        name=name,
        bindings=bindings,
        remote_ip_ranges=tuple(ranges),
        permission_groups=("AnonymousUsers",),
        permissions=(RELAY,) if relays else (),
        **more,
    )


def bundle(*connectors: ReceiveConnector, **more: Any) -> Bundle:
    return Bundle(schema_number=1, connectors=connectors, **more)


def relay_for(port: int, *ranges: str) -> Bundle:
    """One door on loopback that relays for these clients."""
    return bundle(connector("Relay", ranges, f"127.0.0.1:{port}", relays=True))


class Crashed(BaseException):
    """The process ends here, as under kill -9: nothing is tidied up."""


class Agent:
    """What runs of an agent in these tests. `greeting` is what clients hear; empty: the listener is deaf."""

    def __init__(self, state_dir: Path, plane: ControlPlane, tasks: asyncio.TaskGroup, fault: Fault) -> None:
        self.plane = plane
        self.greeting = b"220 test\r\n"
        self.current = Current()
        self.listeners = Listeners(self._accept)
        self.doors = Doors(self.listeners)
        self.on_change: Callable[[], object] = bool
        self.keys: Callable[[], tuple[PublicKey, ...]] = lambda: (plane.signer.public,)
        self.now = time.time
        folder = StateFolder.open(state_dir, create=True, fault=fault)
        self.store = Store(folder)
        self.denials = Denials(folder, self.current, SERVER_ID)
        self.clock = SteadyClock(folder, self._host_clock)
        self.guard_file = state_dir / "guard.toml"
        self_test = SelfTest(self.current, greeting_s=0.3, try_again_s=0.01)

        async def prove(config: Config, probation_s: float) -> str:
            return await self_test.prove(config.policy.bindings, probation_s)

        self.applier = Applier(
            Surroundings(
                server_id=SERVER_ID,
                store=self.store,
                current=self.current,
                doors=self.doors,
                denials=self.denials,
                clock=self.clock,
                guard=Guard(self.guard_file, owner=os.geteuid()),
                keys=self._trusted,
                check=lambda config: check_files(config.policy, ConfigFolder(state_dir / "config")),
                fetch=self._fetch,
                prove=prove,
                changed=self._tell,
                swapped=lambda policy: None,
                fault=fault,
            ),
            tasks,
        )

    def _host_clock(self) -> float:
        return self.now()

    def _tell(self) -> None:
        self.on_change()

    def _trusted(self) -> tuple[PublicKey, ...]:
        return self.keys()

    async def _fetch(self, digest: str) -> Signed:
        assert self.plane.digest == digest
        assert self.plane.bundle is not None
        return self.plane.bundle

    def _accept(self, connection: socket.socket, client: object) -> None:
        del client
        with contextlib.closing(connection), contextlib.suppress(OSError):
            if self.greeting:
                connection.send(self.greeting)

    async def offered(self) -> bool:
        """Take up what the control plane offers now."""
        assert self.plane.offer is not None
        return await self.applier.apply(self.plane.offer, self.plane.bundle if self.plane.is_inline else None)

    @property
    def generation(self) -> int:
        running = self.applier.running
        return running.generation if running else 0

    @property
    def is_settled(self) -> bool:
        running = self.applier.running
        return running is not None and running.settled

    @property
    def outcome(self) -> tuple[str, str]:
        attempt = self.applier.attempt
        return (attempt.outcome, attempt.phase) if attempt else ("", "")


@contextlib.asynccontextmanager
async def agent(state_dir: Path, plane: ControlPlane, fault: Fault = no_fault) -> AsyncIterator[Agent]:
    """An agent started from disk; at the end it is gone, as if the process had been."""
    async with asyncio.TaskGroup() as tasks:
        made = Agent(state_dir, plane, tasks, fault)
        await made.applier.start()
        try:
            yield made
        finally:
            await made.listeners.close()
            for task in asyncio.all_tasks():
                if task.get_name() == "probation":
                    task.cancel()


def connects(port: int) -> bool:
    """Whether somebody listens there."""
    with contextlib.closing(socket.socket()) as client:
        client.settimeout(2)
        return client.connect_ex(("127.0.0.1", port)) == 0


Port = Callable[[str], int]
