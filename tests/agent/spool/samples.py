"""Messages and a spool for the tests of the spool."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from gatepost.policy.dialogue.decision import Envelope
from gatepost_agent.spool.messages import Outcome, QueuedMessage, Result, Stored
from gatepost_agent.spool.spool import Spool

T = TypeVar("T")


def envelope(*recipients: str, connector: str = "Anonymous Relay") -> Envelope:
    """From a printer; to kate by default."""
    return Envelope(
        connector=connector,
        principal="NT AUTHORITY\\ANONYMOUS LOGON",
        client="192.168.5.10",
        helo="printer",
        mail_from="chris@contoso.com",
        recipients=recipients or ("kate@fabrikam.com",),
    )


def body_of(number: int, size: int = 600) -> bytes:
    """A body that no other number has."""
    line = f"Subject: {number} {zlib.crc32(str(number).encode()):08x}\r\n".encode()
    return (line * (size // len(line) + 1))[:size]


async def receive(spool: Spool, body: bytes, *recipients: str, block: int = 65_536) -> Stored:
    """One message, as the SMTP shell hands it over."""
    incoming = spool.begin(envelope(*recipients))
    try:
        for start in range(0, len(body), block):
            incoming.write(body[start : start + block])
            await incoming.drain()
        return await incoming.commit(f"<{incoming.id}@relay.contoso.com>")
    finally:
        await incoming.abandon()


async def read(spool: Spool, message: QueuedMessage) -> bytes:
    """The whole body."""
    return b"".join([block async for block in spool.body(message)])


def outcome(recipient: str, result: Result = Result.DONE, reply: str = "250 2.0.0 Ok") -> Outcome:
    """What a next hop said."""
    return Outcome(recipient=recipient, result=result, reply=reply, next_hop="smtp.contoso.com:25")


async def queued(spool: Spool) -> dict[int, QueuedMessage]:
    """All queued messages by id."""
    return {message.id: message async for message in spool.messages()}


async def kept(spool: Spool) -> dict[int, QueuedMessage]:
    """All failed and expired messages by id."""
    return {message.id: message async for message in spool.messages(kept=True)}


@asynccontextmanager
async def opened(folder: Path, *values: Any, **options: Any) -> AsyncIterator[Spool]:
    """A spool that is closed at the end."""
    spool = await Spool.open(folder, *values, **options)
    try:
        yield spool
    finally:
        await spool.close()


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run one test's coroutine with a deadline."""

    async def bounded() -> T:
        async with asyncio.timeout(60):
            return await test

    return asyncio.run(bounded())
