"""A next hop with behaviour: an SMTP server on loopback that a test tells how to misbehave, step by step."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType


class Act(Enum):
    """What to do instead of answering."""

    HANG = "hang"  # say nothing until the client goes away
    RESET = "reset"  # a TCP reset
    CLOSE = "close"  # an orderly close


Answer = str | bytes | Act
Script = Answer | list[Answer] | Callable[[bytes], Answer | None]

DEFAULTS: dict[str, Answer] = {
    "CONNECT": "220 fake.example ESMTP",
    "HELO": "250 fake.example",
    "STARTTLS": "220 go on",
    "MAIL": "250 2.1.0 sender fine",
    "RCPT": "250 2.1.5 recipient fine",
    "DATA": "354 go on",
    "END": "250 2.0.0 taken",
    "BDAT": "250 2.0.0 chunk taken",
    "RSET": "250 2.0.0 fine",
    "QUIT": "221 2.0.0 bye",
    "AUTH": "235 2.7.0 welcome",
}


@dataclass
class Received:
    """A message that was answered 250."""

    mail: str
    recipients: list[str]
    data: bytes
    tls: bool
    user: str | None


@dataclass
class _State:
    tls: bool = False
    user: str | None = None
    mail: str | None = None
    recipients: list[str] = field(default_factory=list)
    data: bytes = b""

    def clear(self) -> None:
        self.mail, self.recipients, self.data = None, [], b""


class _GoneError(Exception):
    """The connection is over."""


class SmartHost:
    """`answers["RCPT"] = "450 4.2.0 later"` changes what is said from then on; a list is used up one by one.

    Steps: CONNECT EHLO HELO STARTTLS AUTH MAIL RCPT DATA BODY (after the first line of data) END BDAT RSET QUIT.
    """

    def __init__(
        self,
        *,
        extensions: tuple[str, ...] = ("PIPELINING", "SIZE 40000000", "8BITMIME", "SMTPUTF8"),
        tls: ssl.SSLContext | None = None,
        answers: dict[str, Script] | None = None,
    ) -> None:
        self.extensions = extensions
        self.tls = tls
        self.answers: dict[str, Script] = dict(answers or {})
        self.messages: list[Received] = []
        self.commands: list[str] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, address: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `port` says where."""
        self._server = await asyncio.start_server(self._serve, address, port, limit=2**22)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything at once."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> "SmartHost":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def said(self, verb: str) -> list[str]:
        """The commands of one kind that came."""
        return [command for command in self.commands if command.upper().startswith(verb)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await _Dialogue(self, reader, writer).run()
        except (_GoneError, OSError, EOFError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self.open -= 1
            self._tasks.discard(task)


class _Dialogue:
    def __init__(self, host: SmartHost, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.host = host
        self.reader = reader
        self.writer = writer
        self.state = _State()

    async def run(self) -> None:
        await self.answer("CONNECT", b"")
        while line := await self.reader.readline():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self.host.commands.append(text)
            await self.command(text.split(" ")[0].upper(), text, line)
        self.writer.close()

    async def command(self, verb: str, text: str, line: bytes) -> None:
        if verb == "EHLO":
            offered = [e for e in self.host.extensions if not (e == "STARTTLS" and self.state.tls)]
            lines = ["fake.example", *offered]
            await self.answer(
                verb,
                line,
                "\r\n".join(f"250{'-' if n < len(lines) - 1 else ' '}{w}" for n, w in enumerate(lines)),
            )
        elif verb == "DATA":
            await self.data(line)
        elif verb == "BDAT":
            await self.chunk(text, line)
        elif verb == "AUTH":
            await self.auth(text, line)
        else:
            await self.simple(verb, text, line)

    async def simple(self, verb: str, text: str, line: bytes) -> None:
        ok = (await self.answer(verb, line)).startswith(b"2")
        path = text.partition("<")[2].partition(">")[0]
        if verb == "MAIL" and ok:
            self.state.clear()
            self.state.mail = path
        elif verb == "RCPT" and ok:
            self.state.recipients.append(path)
        elif verb == "RSET":
            self.state.clear()
        elif verb == "QUIT":
            raise _GoneError
        elif verb == "STARTTLS" and ok:
            assert self.host.tls is not None
            await self.writer.start_tls(self.host.tls)
            self.state = _State(tls=True)

    async def auth(self, text: str, line: bytes) -> None:
        shown = []
        for _ in range(1 if text.upper() == "AUTH PLAIN" else 2):
            self.writer.write(b"334 \r\n")
            shown.append(base64.b64decode(await self.reader.readline()).decode())
        if (await self.answer("AUTH", line)).startswith(b"2"):
            self.state.user = "|".join(shown).replace("\0", "|").strip("|")

    async def data(self, line: bytes) -> None:
        if not self.state.recipients and "DATA" not in self.host.answers:
            await self.answer("DATA", line, "503 5.5.1 no recipients")
            return
        if not (await self.answer("DATA", line)).startswith(b"3"):
            return
        lines: list[bytes] = []
        while (got := await self.reader.readline()) != b".\r\n":
            if not got:
                raise _GoneError
            if not lines and "BODY" in self.host.answers:
                await self.answer("BODY", got, b"")
            lines.append(got[1:] if got.startswith(b".") else got)
        self.state.data = b"".join(lines)
        await self.taken("END", line)

    async def chunk(self, text: str, line: bytes) -> None:
        words = text.split()
        self.state.data += await self.reader.readexactly(int(words[1]))
        if words[-1].upper() == "LAST":
            await self.taken("BDAT", line)
        else:
            await self.answer("BDAT", line)

    async def taken(self, step: str, line: bytes) -> None:
        state = self.state
        ready = state.mail is not None and bool(state.recipients)
        answer = await self.answer(step, line, None if ready else "554 5.5.1 no valid recipients")
        if answer.startswith(b"2") and ready:
            self.host.messages.append(
                Received(state.mail or "", list(state.recipients), state.data, state.tls, state.user)
            )
        state.clear()

    async def answer(self, step: str, line: bytes, default: Answer | None = None) -> bytes:
        script: Script | None = self.host.answers.get(step)
        if isinstance(script, list):
            script = script.pop(0) if script else None
        chosen = script(line) if callable(script) else script
        if chosen is None:
            chosen = default if default is not None else DEFAULTS.get(step, "500 5.5.1 unknown")
        if isinstance(chosen, Act):
            await self.act(chosen)
        raw = chosen if isinstance(chosen, bytes) else f"{chosen}\r\n".encode()
        # What is about to be said counts as said: the test sees it no later than the client does.
        self.writer.write(raw)
        await self.writer.drain()
        return raw

    async def act(self, act: Act) -> None:
        if act is Act.HANG:
            while await self.reader.read(65536):
                pass
        elif act is Act.CLOSE:
            self.writer.close()
        raise _GoneError


@asynccontextmanager
async def smart_hosts(*hosts: SmartHost) -> AsyncIterator[None]:
    """Several hosts at once, on 127.0.0.1, .2, .3 …"""
    try:
        for number, host in enumerate(hosts, start=1):
            await host.start(f"127.0.0.{number}")
        yield
    finally:
        for host in hosts:
            await host.stop()
