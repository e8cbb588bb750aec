"""Export and import: messages as a stream, for another host or another day.

A record is one line of JSON, the body's octets, and LF:

    {"gatepost_message": 1, "origin": "<store id>:<queue id>", "size": 4096, "crc32": 123, ...}\\n<4096 octets>\\n

The other fields are the columns of the database (codec.py). Records follow each other without anything between.
`origin` goes with a message for ever, so that importing the same file twice, or by way of a third host, adds nothing.
"""

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, NamedTuple

from gatepost_agent.spool.codec import from_values, to_values
from gatepost_agent.spool.core import Core
from gatepost_agent.spool.errors import DamagedBody, NoSuchMessage, SpoolError, Unreadable
from gatepost_agent.spool.incoming import Incoming
from gatepost_agent.spool.messages import QueuedMessage
from gatepost_agent.spool.reading import read_body
from gatepost_agent.spool.receiving import Receiver
from gatepost_agent.spool.store import Store

_RECORD = 1
_LINE_MAX = 4 * 1024 * 1024  # some ten thousand recipients


class Imported(NamedTuple):
    """How many messages were added, how many had come before, and what was refused, as sentences."""

    added: int
    known: int
    refused: tuple[str, ...]


async def export_messages(core: Core, ids: Iterable[int]) -> AsyncIterator[bytes]:
    """See Spool.export."""
    for queue_id in ids:
        store_id, message = await _found(core, queue_id)
        body = _padded(core, message)
        first = await anext(body, b"")  # before its record: the message may be on its way out
        values = to_values(message._replace(body_at=None))
        origin = message.origin or f"{store_id}:{message.id}"
        yield json.dumps({"gatepost_message": _RECORD, "origin": origin, **values}).encode("ascii") + b"\n"
        yield first
        async for block in body:
            yield block
        yield b"\n"


async def _found(core: Core, queue_id: int) -> tuple[str, QueuedMessage]:
    """The store's id and a message. Raises NoSuchMessage."""
    store_id, found = await core.writer.call(lambda store: (store.store_id, store.messages([queue_id])))
    if not found:
        raise NoSuchMessage(queue_id)
    return store_id, found[0]


async def _padded(core: Core, message: QueuedMessage) -> AsyncIterator[bytes]:
    """The body; a damaged one keeps its length, so that the next record is found, and is refused by its crc32.

    Raises NoSuchMessage, before the first block, when the message has left meanwhile.
    """
    sent = 0
    try:
        async for block in read_body(core, message):
            sent += len(block)
            yield block
    except DamagedBody:
        if not sent:
            await _found(core, message.id)
        yield bytes(message.size - sent)


async def import_messages(core: Core, receiver: Receiver, blocks: AsyncIterable[bytes]) -> Imported:
    """See Spool.import_."""
    stream, done = _Stream(blocks), Imported(0, 0, ())
    try:
        while line := await stream.line():
            one = await _import(core, receiver, stream, line)
            done = Imported(done.added + one.added, done.known + one.known, done.refused + one.refused)
    except SpoolError as error:
        error.args = (f"{error}; {_so_far(done)}",)
        raise
    return done


def _so_far(done: Imported) -> str:
    return (
        f"before that, messages that came in: {done.added}, and that were here already: {done.known}; "
        "importing the whole file again is safe, it adds nothing twice"
    )


async def _import(core: Core, receiver: Receiver, stream: "_Stream", line: bytes) -> Imported:
    """One message."""
    origin, message = _record(line)
    if await core.writer.call(_known(origin)):
        await _skip(stream, message)
        return Imported(0, 1, ())
    incoming = receiver.receive(receiver.adopted(message, origin))
    try:
        await _copy(stream, message, incoming)
        await incoming.commit(message.message_id)
    except DamagedBody as error:
        return Imported(0, 0, (f"message {origin}: {error}",))
    finally:
        await incoming.abandon()
    return Imported(1, 0, ())


def _record(line: bytes) -> tuple[str, QueuedMessage]:
    try:
        values = json.loads(line)
        if values["gatepost_message"] != _RECORD:
            raise Unreadable(f"records of kind {values['gatepost_message']!r} need another release")
        return str(values["origin"]), from_values(values)
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"not an exported message ({error!r}): {line[:80]!r}") from error


def _known(origin: str) -> Any:
    def known(store: Store) -> bool:
        if store.imported(origin) is not None:
            return True
        store_id, _, queue_id = origin.partition(":")
        return store_id == store.store_id and queue_id.isdecimal() and bool(store.messages([int(queue_id)]))

    return known


async def _skip(stream: "_Stream", message: QueuedMessage) -> None:
    async for _ in stream.octets(message.size):
        pass
    await stream.end_of_record()


async def _copy(stream: "_Stream", message: QueuedMessage, incoming: Incoming) -> None:
    async for block in stream.octets(message.size):
        incoming.write(block)
        await incoming.drain()
    await stream.end_of_record()
    if incoming.crc32 != message.crc32:
        raise DamagedBody("its body is damaged")


class _Stream:
    """Lines and counted octets out of blocks of any size."""

    def __init__(self, blocks: AsyncIterable[bytes]) -> None:
        self._blocks = aiter(blocks)
        self._buffer = b""

    async def _more(self) -> bool:
        block = await anext(self._blocks, None)
        self._buffer += block or b""
        return block is not None

    async def line(self) -> bytes:
        """The next line with its LF; empty at the end. Raises Unreadable."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LINE_MAX or not await self._more():
                if not self._buffer:
                    return b""
                raise Unreadable(f"not an exported message: {self._buffer[:80]!r}")
        line, self._buffer = self._buffer[: end + 1], self._buffer[end + 1 :]
        return line

    async def octets(self, count: int) -> AsyncIterator[bytes]:
        """The next `count` octets. Raises Unreadable when there are fewer."""
        while count:
            if not self._buffer and not await self._more():
                raise Unreadable(f"the export ends {count} octets before the end of a body")
            block, self._buffer = self._buffer[:count], self._buffer[count:]
            count -= len(block)
            if block:
                yield block

    async def end_of_record(self) -> None:
        """Raises Unreadable when the record does not end here."""
        if await self.line() != b"\n":
            raise Unreadable("a body is longer than its record says")
