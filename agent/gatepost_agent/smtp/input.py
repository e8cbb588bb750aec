"""What a client sent and nobody has read yet, in bounded memory.

A `StreamReader`, so that aiosmtpd's protocol and the public `StreamWriter.start_tls` work with it, but one that
keeps the block as it came: lines are found in place, and DATA is scanned in blocks. It stops reading from the
socket above HIGH octets, or above SMALL while all sessions together hold more than the budget.
"""

import asyncio
from collections.abc import Iterable
from typing import SupportsIndex, cast

from gatepost.policy.dialogue.events import BEGINS, MAX_LINE, Line, LineTooLong

_CR = 13
HIGH = 64 * 1024
SMALL = 2 * MAX_LINE  # a command always fits, so a session that holds little never has to wait for the others


class Budget:
    """Octets of input that all sessions hold together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    @property
    def exceeded(self) -> bool:
        return self.held > self.limit


class Input(asyncio.StreamReader):
    """`ended`: the client will send no more. `lost`: the connection is gone, nobody reads an answer."""

    def __init__(self, budget: Budget, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=HIGH, loop=loop)
        self.ended = False
        self.lost = False
        self._budget = budget
        self._block = b""
        self._at = 0
        self._skipping_line = False
        self._begins = b""
        self._socket: asyncio.Transport | None = None
        self._stopped = False
        self._waiting: asyncio.Future[None] | None = None
        self._on_loop = loop

    # -- fed by the protocol

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        """Also the one that STARTTLS puts in place of the first."""
        self._socket = cast(asyncio.Transport, transport)  # uvloop's own have no such base
        self._stopped = False

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        block = data if isinstance(data, bytes) else bytes(data)
        rest = self._block[self._at :] if self._at else self._block
        self._block = rest + block if rest else block
        self._at = 0
        self._budget.held += len(block)
        if len(self._block) > SMALL:
            self._perhaps_stop()
        self.rouse()

    def feed_eof(self) -> None:
        self.ended = True
        self.rouse()

    def set_exception(self, exc: Exception) -> None:
        """The connection broke; this is no exception for whoever reads or writes, just the end."""
        self.lose()

    def exception(self) -> Exception | None:
        return None

    def lose(self) -> None:
        """The connection is gone; what was not read is forgotten."""
        self.lost = self.ended = True
        self.clear()
        self.rouse()

    def _perhaps_stop(self) -> None:
        if (
            not self._stopped
            and (len(self._block) > HIGH or self._budget.exceeded)
            and self._socket is not None
        ):
            self._stopped = True
            self._socket.pause_reading()

    # -- read by the session

    def line(self) -> Line | LineTooLong | None:
        """The next line, if a whole one is here. Of one that is too long nothing is kept, however long it is."""
        end = self._block.find(b"\n", self._at)
        if end < 0:
            if self.held > MAX_LINE:
                self._skip_line()
            if self._skipping_line:
                self.consume(self.held)
            return None
        start, block = self._at, self._block
        if end + 1 - start > MAX_LINE:
            self._skip_line()
        self.consume(end + 1 - start)
        if self._skipping_line:
            self._skipping_line = False
            return LineTooLong(self._begins)
        is_bare = end == start or block[end - 1] != _CR
        return Line(block[start:end], bare_lf=True) if is_bare else Line(block[start : end - 1])

    def _skip_line(self) -> None:
        if not self._skipping_line:
            self._skipping_line = True
            self._begins = self._block[self._at : self._at + BEGINS]

    @property
    def held(self) -> int:
        """Octets that wait to be read."""
        return len(self._block) - self._at

    def peek(self, most: int) -> bytes:
        """Up to `most` octets, which stay until consumed."""
        if self._at == 0 and len(self._block) <= most:
            return self._block
        return self._block[self._at : self._at + most]

    def consume(self, octets: int) -> None:
        self._at += octets
        self._budget.held -= octets
        if self._at == len(self._block):
            self._block, self._at = b"", 0
        if self._stopped and self.held <= SMALL:
            self._stopped = False
            if self._socket is not None and not self._socket.is_closing():
                self._socket.resume_reading()

    def clear(self) -> None:
        """Forget what is here: what a client sent in clear behind STARTTLS was never said (RFC 3207 4.2)."""
        self._skipping_line = False
        self.consume(self.held)

    def wait(self) -> "asyncio.Future[None]":
        """Done when something changes: more input, its end, or `rouse`. What is here already is not looked at."""
        self._waiting = self._on_loop.create_future()
        return self._waiting

    def rouse(self) -> None:
        """End `wait`."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
