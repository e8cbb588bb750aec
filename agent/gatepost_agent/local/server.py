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
from gatepost_agent.local.wire import MAX_REQUEST_BYTES, SOCKET, Command, decode_request, encode

log = logging.getLogger(__name__)

REQUEST_S = 10.0
MAX_CALLERS = 16


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
        try:
            if self._callers <= MAX_CALLERS and _is_us(writer):
                await self._converse(reader, writer)
        except (OSError, ValueError, TimeoutError) as error:
            log.info("a local caller was lost: %s", error)
        finally:
            self._callers -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(REQUEST_S):
            request = decode_request(await reader.readline())
        command = self._commands.get(request.command)
        try:
            if command is None:
                raise UsageRefused(f"this agent knows no command {request.command!r}")
            async for row in command(request.arguments):
                writer.write(encode({"row": row}))
                await writer.drain()
            writer.write(encode({"end": True}))
        except AgentError as error:
            writer.write(encode({"error": str(error), "usage": isinstance(error, UsageRefused)}))
        except Exception as error:
            log.exception("the local command %s failed", request.command)
            writer.write(encode({"error": f"{type(error).__name__}: {error}", "usage": False}))
        await writer.drain()


def _is_us(writer: asyncio.StreamWriter) -> bool:
    peer: socket.socket = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid in (0, os.geteuid())
