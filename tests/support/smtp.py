"""The SMTP shell on loopback with a spool that behaves as the test says, and a client that reads whole replies."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gatepost.policy.dialogue.compiled import Policy, compile_policy
from gatepost.policy.dialogue.decision import Envelope
from gatepost.policy.model.addresses import parse_binding
from gatepost.policy.model.bundle import Bundle
from gatepost_agent.current import Current
from gatepost_agent.smtp.protocol import SmtpProtocol
from gatepost_agent.smtp.server import Options, SmtpServer
from gatepost_agent.spool.errors import NotStored
from gatepost_agent.spool.messages import Room, Stored
from tests.support.waiting import eventually

ANY_RECIPIENT = [
    {
        "principal": r"NT AUTHORITY\ANONYMOUS LOGON",
        "rights": ["ms-Exch-SMTP-Accept-Any-Recipient"],
    }
]


def relay_policy(port: int, *, users: tuple[dict[str, Any], ...] = (), **settings: Any) -> Policy:
    """A connector `Relay` on 0.0.0.0:port for 127.0.0.0/8 that relays, without a tarpit, changed by `settings`."""
    connector = {
        "name": "Relay",
        "bindings": [f"0.0.0.0:{port}"],
        "remote_ip_ranges": ["127.0.0.0/8"],
        "permission_groups": ["AnonymousUsers"],
        "permissions": ANY_RECIPIENT,
        "tarpit_interval": "00:00:00",
        "max_protocol_errors": 100,
    } | settings
    bundle = Bundle.model_validate(
        {
            "schema_number": 1,
            "accepted_domains": [{"domain": "contoso.com", "type": "authoritative"}],
            "connectors": [connector],
            "users": users,
        }
    )
    return compile_policy(bundle, addresses={}, fqdn="mx1.contoso.com", now=0)


class Kept(NamedTuple):
    """A stored message."""

    envelope: Envelope
    message_id: str
    body: bytes


class FakeIncoming:
    """What a real one promises, on the test's terms."""

    def __init__(self, spool: "FakeSpool", envelope: Envelope, queue_id: int) -> None:
        self.id = queue_id
        self._spool = spool
        self._envelope = envelope
        self._blocks: list[bytes] = []

    def write(self, block: bytes) -> None:
        self._spool.written += len(block)
        if self._spool.keeps_bodies:
            self._blocks.append(block)

    async def drain(self) -> None:
        if self._spool.fails:
            raise NotStored(self._spool.fails, "as the test says")

    async def commit(self, message_id: str, envelope: Envelope | None = None) -> Stored:
        return await asyncio.shield(asyncio.ensure_future(self._commit(message_id, envelope)))

    async def _commit(self, message_id: str, envelope: Envelope | None) -> Stored:
        self._spool.committing += 1
        await self._spool.gate.wait()
        self._spool.committing -= 1
        if self._spool.error:
            raise self._spool.error
        if self._spool.fails:
            raise NotStored(self._spool.fails, "as the test says")
        self._spool.kept.append(Kept(envelope or self._envelope, message_id, b"".join(self._blocks)))
        return Stored(self.id, message_id)

    async def abandon(self) -> None:
        self._blocks.clear()
        self._spool.abandoned += 1


class FakeSpool:
    """Commits when `gate` is set. fails: why nothing can be stored; error: what a commit raises."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.has_room: Room = "ok"
        self.octets_free = 2**40
        self.fails: Literal["full", "trouble"] | None = None
        self.error: Exception | None = None
        self.filled = 0.0
        self.keeps_bodies = True
        self.written = self.committing = self.abandoned = self.begun = 0

    def fill(self) -> float:
        return self.filled

    def free(self) -> int:
        return self.octets_free

    def room(self, size_hint: int = 0) -> Room:
        return self.has_room

    def begin(self, envelope: Envelope) -> FakeIncoming:
        self.begun += 1
        return FakeIncoming(self, envelope, self.begun)


class Client:
    """A client that reads whole replies. Made by `Shell.client`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self) -> str:
        """The next reply, its lines joined with LF; "" when the server has closed."""
        lines = []
        while True:
            line = (await asyncio.wait_for(self._reader.readline(), 10)).decode()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    async def say(self, *lines: str) -> str:
        """Send lines one by one, each after the reply to the one before; the last reply."""
        reply = ""
        for line in lines:
            self.send(line.encode() + b"\r\n")
            reply = await self.reply()
        return reply

    async def begin(self, *recipients: str) -> None:
        """Greeting, EHLO, MAIL, RCPT."""
        await self.reply()
        recipients = recipients or ("kate@fabrikam.com",)
        last = await self.say(
            "EHLO printer", "MAIL FROM:<chris@contoso.com>", *(f"RCPT TO:<{rcpt}>" for rcpt in recipients)
        )
        assert last == "250 2.1.5 Recipient OK"

    async def ended(self) -> bool:
        """Nothing more comes, and the connection was closed in order."""
        return await asyncio.wait_for(self._reader.read(100), 10) == b""

    def reset(self) -> None:
        """Vanish with an RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Shell:
    """A running SMTP side. sleeps: the tarpits so far, in seconds."""

    def __init__(self, server: SmtpServer, current: Current, spool: Any, port: int) -> None:
        self.server = server
        self.current = current
        self.spool = spool
        self.port = port
        self.sleeps: list[float] = []
        self._clients: list[Client] = []

    async def client(self, source: str = "127.0.0.1") -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))
        client = Client(reader, writer)
        self._clients.append(client)
        return client

    def protocols(self) -> list[SmtpProtocol]:
        return list(self.server._open.values())

    def counted(self, connector: str = "Relay") -> dict[str, int]:
        return self.server.counters()[0].totals.get(connector, {})

    async def hang_up(self) -> None:
        for client in self._clients:
            client.writer.close()
            with suppress(OSError):
                await client.writer.wait_closed()
        self._clients.clear()
        await eventually(lambda: not self.server.sessions, what="all sessions have ended")


@asynccontextmanager
async def smtp_shell(
    folder: Path,
    port: int,
    *,
    spool: Any = None,
    certificate: Callable[[str], Path] | None = None,
    options: dict[str, Any] | None = None,
    users: tuple[dict[str, Any], ...] = (),
    **settings: Any,
) -> AsyncIterator[Shell]:
    """Serve `relay_policy(port, **settings)`; at the end every session is seen to have ended by itself."""
    current, spool = Current(), FakeSpool() if spool is None else spool
    current.policy = relay_policy(port, users=users, **settings)
    shell: Shell

    async def sleep(seconds: float) -> None:
        shell.sleeps.append(seconds)

    server = SmtpServer(
        current,
        spool,
        state_folder=folder,
        certificate=certificate or (lambda name: folder / name),
        options=Options(server="MX1", clock=time.time, sleep=sleep)._replace(**(options or {})),
    )
    shell = Shell(server, current, spool, port)
    try:
        await (await server.listening.stage([parse_binding(f"0.0.0.0:{port}")])).commit()
        yield shell
    finally:
        await shell.hang_up()
        await server.drain(0.1)
