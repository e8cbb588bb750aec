"""The agent's end of the local socket: mode 0600 in a 0700 folder, and the caller's uid is checked again."""

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from gatepost_agent.errors import AgentError, UsageRefused
from gatepost_agent.local.wire import MAX_REQUEST_BYTES, SOCKET, Command, Request, decode_request, encode

log = logging.getLogger(__name__)

REQUEST_S = 10.0
MAX_CALLERS = 16
TOO_MANY = "too many commands at once: try again"
_TOO_LARGE = f"the request is larger than {MAX_REQUEST_BYTES:,} octets: name fewer ids, or a filter"


@contextlib.contextmanager
def reachable(folder: Path) -> Iterator[str]:
    """A short path to the folder's socket: sun_path holds 108 octets, state folders may be longer."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET}"
    finally:
        os.close(handle)


def _bound(folder: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    (folder / SOCKET).unlink(missing_ok=True)  # ours: the folder's lock is held
    with reachable(folder) as path:
        listening.bind(path)
        os.chmod(path, 0o600)
    listening.listen(MAX_CALLERS)
    listening.setblocking(False)
    return listening


@contextlib.asynccontextmanager
async def serving(folder: Path, commands: Mapping[str, Command]) -> AsyncIterator[None]:
    """Answer local commands while the context lasts."""
    server = await asyncio.start_unix_server(
        _Desk(commands).answer, sock=_bound(folder), limit=MAX_REQUEST_BYTES
    )
    try:
        yield
    finally:
        server.close()
        (folder / SOCKET).unlink(missing_ok=True)


class _Desk:
    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands
        self._callers = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers += 1
        is_crowded = self._callers > MAX_CALLERS
        try:
            if _is_us(writer):
                await self._converse(reader, writer, is_crowded=is_crowded)
                await writer.drain()
        except (OSError, ValueError, TimeoutError) as error:
            log.info("a local caller was lost: %s", error)
        finally:
            self._callers -= 1
            writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_crowded: bool
    ) -> None:
        try:
            async with asyncio.timeout(REQUEST_S):
                line = await _line(reader)
            if is_crowded:
                raise AgentError(TOO_MANY)
            await self._carry_out(decode_request(line), writer)
        except AgentError as error:
            writer.write(encode({"error": str(error), "usage": isinstance(error, UsageRefused)}))

    async def _carry_out(self, request: Request, writer: asyncio.StreamWriter) -> None:
        command = self._commands.get(request.command)
        if command is None:
            raise UsageRefused(f"this agent knows no command {request.command!r}")
        try:
            async for row in command(request.arguments):
                writer.write(encode({"row": row}))
                await writer.drain()
            writer.write(encode({"end": True}))
        except AgentError:
            raise
        except Exception as error:
            log.exception("the local command %s failed", request.command)
            raise AgentError(f"{type(error).__name__}: {error}") from error


async def _line(reader: asyncio.StreamReader) -> bytes:
    """A request. What is too large is read to its end: only then does its caller listen. Raises UsageRefused."""
    is_too_large = False
    while True:
        try:
            line = await reader.readuntil()
        except asyncio.LimitOverrunError as error:
            is_too_large = True
            await reader.readexactly(error.consumed)
        except asyncio.IncompleteReadError as error:
            raise ValueError("a request without an end") from error
        else:
            if is_too_large:
                raise UsageRefused(_TOO_LARGE)
            return line


def _is_us(writer: asyncio.StreamWriter) -> bool:
    peer: socket.socket = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid in (0, os.geteuid())
