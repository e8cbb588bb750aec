"""Reading a body back, and noticing when it is not what was received."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Callable

from gatepost_agent.spool.checksum import crc32
from gatepost_agent.spool.core import Core
from gatepost_agent.spool.errors import DamagedBody, Unreadable
from gatepost_agent.spool.messages import QueuedMessage


async def read_body(core: Core, message: QueuedMessage) -> AsyncGenerator[bytes, None]:
    """See Spool.body."""
    found = core.resident.get(message.id)
    if found is not None and found[1] is not None:
        yield found[1]
    else:
        async for block in read_stored_body(core, message):
            yield block


async def read_stored_body(core: Core, message: QueuedMessage) -> AsyncGenerator[bytes, None]:
    """The body as the disk has it."""
    if message.body_at is None:
        yield await _from_database(core, message)
    else:
        async for block in _from_file(core, message):
            yield block


async def _from_database(core: Core, message: QueuedMessage) -> bytes:
    try:
        body = await core.writer.call(lambda store: store.body(message.id))
    except Unreadable as error:
        raise DamagedBody(str(error)) from error
    compare(message, len(body), crc32(body))
    return body


async def _from_file(core: Core, message: QueuedMessage) -> AsyncGenerator[bytes, None]:
    block_at = _blocks(core, message)
    offset = total = 0
    while offset < message.size:
        try:
            block = await asyncio.get_running_loop().run_in_executor(core.workers, block_at, offset)
        except OSError as error:
            raise _unread(message, error) from error
        if not block:
            break
        total = crc32(block, total)
        offset += len(block)
        yield block
    compare(message, offset, total)


def _blocks(core: Core, message: QueuedMessage) -> Callable[[int], bytes]:
    """For a worker: a function from an offset in the body to the block there, which is read when its turn comes."""
    block_at = core.bodies.blocks(message)

    def read(offset: int) -> bytes:
        with core.writer.turns.large():
            return block_at(offset)

    return read


def compare_file(core: Core, message: QueuedMessage) -> None:
    """Read a body's file through, for a worker: blocks. Raises DamagedBody."""
    block_at, offset, total = _blocks(core, message), 0, 0
    try:
        while offset < message.size and (block := block_at(offset)):
            offset, total = offset + len(block), zlib.crc32(block, total)
    except OSError as error:
        raise _unread(message, error) from error
    compare(message, offset, total)


def compare(message: QueuedMessage, size: int, checksum: int) -> None:
    """Raises DamagedBody if that is not the body's size and CRC-32."""
    if (size, checksum) != (message.size, message.crc32):
        raise DamagedBody(f"the body of message {message.id} is not what was received")


def _unread(message: QueuedMessage, error: OSError) -> DamagedBody:
    return DamagedBody(f"the body of message {message.id} cannot be read: {error}")
