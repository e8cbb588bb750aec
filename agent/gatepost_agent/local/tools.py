"""What the command line does with a running agent, or with the state folder of a stopped one."""

import asyncio
import base64
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.errors import AgentError, AlreadyRunning
from gatepost_agent.local.client import NotRunning, ask
from gatepost_agent.local.selection import selection
from gatepost_agent.local.wire import Row
from gatepost_agent.mail_log import concerns, entries
from gatepost_agent.settings import Settings

UNKNOWN = 3
STARTS_S = 10.0  # in which an agent that has taken its folder listens to commands
_LOOK_S = 0.1
EXIT_CODES = {"ok": 0, "degraded": 1, "failing": 2}


def status(settings: Settings) -> tuple[Row, int]:
    """The status and its exit code, as monitoring systems take them: 0, 1, 2, 3 for unknown."""
    try:
        [row] = ask(settings.state_dir, "status")
    except (AgentError, OSError, ValueError) as error:
        return {"health": "unknown", "problem": str(error) or "no answer"}, UNKNOWN
    return row, EXIT_CODES.get(str(row["health"]), UNKNOWN)


def queue(settings: Settings, command: str, arguments: Mapping[str, Any]) -> Iterator[Row]:
    """A queue command, by the agent that runs, or on the spool itself when none does. Raises AgentError."""
    until = time.monotonic() + STARTS_S
    while True:
        try:
            return (yield from ask(settings.state_dir, f"queue {command}", arguments))
        except NotRunning:
            if command == "start":
                raise
        try:
            return (yield from _stopped(settings, f"queue {command}", arguments))
        except AlreadyRunning:  # an agent that starts, or stops, and does not listen to us
            if time.monotonic() >= until:
                raise
        time.sleep(_LOOK_S)


def _stopped(settings: Settings, command: str, arguments: Mapping[str, Any]) -> Iterator[Row]:
    folder = StateFolder.open(settings.state_dir)
    with folder.locked(command), asyncio.Runner() as runner:
        rows = _on_spool(settings, command, arguments)
        try:
            with contextlib.suppress(StopAsyncIteration):
                while True:
                    yield runner.run(_next(rows))
        finally:
            runner.run(_closed(rows))


async def _on_spool(settings: Settings, command: str, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
    from gatepost_agent.local.queue import queue_commands
    from gatepost_agent.spool.spool import Spool

    if not settings.spool_folder.exists():
        raise AgentError(f"there is no spool at {settings.spool_folder}")
    spool = await Spool.open(settings.spool_folder, hold_queue=True)
    try:
        async for row in queue_commands(spool)[command](arguments):
            yield row
    finally:
        await spool.close()


async def _next(rows: AsyncIterator[Row]) -> Row:
    return await anext(rows)


async def _closed(rows: AsyncIterator[Row]) -> None:
    if hasattr(rows, "aclose"):
        await rows.aclose()


def export(rows: Iterator[Row], target: str) -> Row:
    """Write an export to a new file, or to stdout for `-`; returns the last row. Raises AgentError."""
    last: Row = {}
    with _target(target) as file:
        for row in rows:
            if "block" in row:
                file.write(base64.b64decode(row["block"]))
            else:
                last = row
    return last


@contextlib.contextmanager
def _target(target: str) -> Iterator[BinaryIO]:
    if target == "-":
        yield sys.stdout.buffer
        return
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AgentError(f"{target} cannot be made: {error.strerror}") from error
    with os.fdopen(handle, "wb") as file:
        try:
            yield file
            file.flush()
            os.fsync(handle)
        except BaseException:
            os.unlink(target)  # half an export is none, and would be in the way of the next
            raise


def trace(settings: Settings, wanted: Mapping[str, str]) -> Iterator[Row]:
    """What the mail log says of a message, oldest first; with the agent running or not. Raises AgentError."""
    selection({"client": wanted.get("client")})  # refuses what is no address
    folder = StateFolder.open(settings.state_dir)
    with contextlib.suppress(NotRunning):
        list(ask(settings.state_dir, "flush"))
    return (entry for entry in entries(folder.path) if concerns(entry, wanted))


def absolute(path: str) -> str:
    """A path as the agent, which stands in another folder, has to be told it."""
    return str(Path(path).absolute())
