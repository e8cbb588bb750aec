"""One message while it arrives: in memory while it is small, then on its way to its file, never much ahead of it."""

import asyncio
import errno
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextlib import suppress
from typing import NamedTuple, TypeVar

from gatepost.policy.dialogue.decision import Envelope
from gatepost_agent.spool.bodies import BLOCK, Bodies, BodyFile
from gatepost_agent.spool.checksum import crc32
from gatepost_agent.spool.errors import NotStored, SpoolError
from gatepost_agent.spool.messages import QueuedMessage, Room, Stored
from gatepost_agent.spool.turns import Turns

T = TypeVar("T")

_AHEAD = BLOCK  # octets in memory, apart from the block being written, above which `drain` waits
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Receiving(NamedTuple):
    """What an Incoming has of its spool.

    store(message, body): commits the row, with the body unless it is in a file. own: runs a coroutine to its end
    even if nobody waits for it. moved: is told how many octets more, or fewer, are on their way.
    room: as Spool.room, for what has arrived.
    """

    bodies: Bodies
    workers: Executor  # for body files alone: they must not wait for a dead resolver
    turns: Turns
    inline_max: int
    store: Callable[[QueuedMessage, bytes | None], "asyncio.Future[Stored]"]
    own: Callable[[Coroutine[None, None, Stored]], "asyncio.Future[Stored]"]
    moved: Callable[[int], None]
    room: Callable[[], Room]


class Incoming:
    """Ends with `commit` or `abandon`. `id` is the queue id, which is never used again."""

    def __init__(self, draft: QueuedMessage, receiving: Receiving) -> None:
        self.id = draft.id
        self._draft = draft
        self._receiving = receiving
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._size = 0
        self._crc32 = 0
        self._file: BodyFile | None = None
        self._job: asyncio.Future[BodyFile] | None = None  # at most one worker is at the file
        self._error: OSError | None = None
        self._is_over = False

    @property
    def crc32(self) -> int:
        """Of what was written so far."""
        return self._crc32

    def write(self, block: bytes) -> None:
        """Add a block. Never blocks; trouble with the disk shows in `drain` and `commit`."""
        if self._error:
            return
        self._buffer.append(block)
        self._buffered += len(block)
        self._size += len(block)
        self._crc32 = crc32(block, self._crc32)
        self._receiving.moved(len(block))
        if self._size > self._receiving.inline_max and self._buffered >= BLOCK and self._job is None:
            self._write_out()

    async def drain(self) -> None:
        """Wait until at most 256 KiB of this message are in memory. Raises NotStored: then abandon it."""
        while self._buffered > _AHEAD and self._job is not None:
            await asyncio.wait([self._job])
        self._raise_error()
        if self._size > self._receiving.inline_max and (room := self._receiving.room()) != "ok":
            raise NotStored(room, "the spool has reached its bounds while the message came")

    async def commit(self, message_id: str, envelope: Envelope | None = None) -> Stored:
        """Store the message; returns when it is durable. Raises NotStored.

        `envelope` replaces the one of `begin`, for the same recipients: only the end tells of 8-bit octets.
        The commit is the spool's: a caller that is cancelled (its client is gone) changes nothing.
        """
        if self._is_over:
            raise SpoolError("this message was committed or abandoned before")
        self._is_over = True
        message = self._draft._replace(
            message_id=message_id,
            envelope=envelope or self._draft.envelope,
            size=self._size,
            crc32=self._crc32,
        )
        if self._size > self._receiving.inline_max:
            outcome = asyncio.shield(self._receiving.own(self._commit_file(message)))
        else:
            outcome = self._receiving.store(message, self._take_buffer())
        outcome.add_done_callback(self._is_in)
        return await outcome

    def _is_in(self, _: "asyncio.Future[Stored]") -> None:
        self._receiving.moved(-self._size)

    async def abandon(self) -> None:
        """Forget the message; nothing of it stays. Harmless after commit."""
        if self._is_over:
            return
        self._is_over = True
        self._take_buffer()
        self._receiving.moved(-self._size)
        await self._discard()

    async def _commit_file(self, message: QueuedMessage) -> Stored:
        try:
            await self._idle()
            self._raise_error()
            body_at = await self._in_worker(self._finish_file, message)
            return await self._receiving.store(message._replace(body_at=body_at), None)
        except OSError as error:
            await self._discard()
            raise _not_stored(error) from error
        except NotStored as refusal:
            if refusal.why == "full":  # else the row may be there after a crash: the next start looks
                await self._discard()
            raise

    def _take_buffer(self) -> bytes:
        body = b"".join(self._buffer)
        self._buffer.clear()
        self._buffered = 0
        return body

    def _write_out(self) -> None:
        blocks, self._buffer, self._buffered = self._buffer, [], 0
        self._job = self._in_worker(self._append, blocks)
        self._job.add_done_callback(self._written)

    def _written(self, job: "asyncio.Future[BodyFile]") -> None:
        self._job = None
        error = job.exception()
        if isinstance(error, OSError):
            self._error = error
            self._take_buffer()
        elif error:
            raise error
        elif self._buffered >= BLOCK:
            self._write_out()

    async def _idle(self) -> None:
        while self._job is not None:
            await asyncio.wait([self._job])

    async def _discard(self) -> None:
        await self._idle()
        if self._file is not None:
            with suppress(OSError):  # a file without a row goes at the next start
                await self._in_worker(self._file.discard)
            self._file = None

    def _raise_error(self) -> None:
        if self._error:
            raise _not_stored(self._error)

    def _in_worker(self, function: Callable[..., T], *values: object) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._receiving.workers, function, *values)

    # -- in a worker

    def _append(self, blocks: list[bytes]) -> BodyFile:
        with self._receiving.turns.large():
            return self._appended(blocks)

    def _finish_file(self, message: QueuedMessage) -> int:
        blocks, self._buffer = self._buffer, []
        with self._receiving.turns.large():
            file = self._appended(blocks)
            file.finish(message)
        return file.body_at

    def _appended(self, blocks: list[bytes]) -> BodyFile:
        if self._file is None:
            self._file = self._receiving.bodies.create(self._draft)
        self._file.append(blocks)
        return self._file


def _not_stored(error: OSError) -> NotStored:
    return NotStored("full" if error.errno in _FULL else "trouble", f"the body was not written: {error}")
