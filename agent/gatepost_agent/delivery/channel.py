"""The byte level of one outbound connection: writes with back-pressure, replies awaited by number, one timer.

A plain asyncio protocol, not a pair of streams: a pipelined group of commands is one write and one wakeup. One timer
per connection is moved, not re-armed per command: setting it anew costs more than the command.
"""

import asyncio
import ssl
from collections import deque
from typing import cast

from gatepost_agent.delivery.errors import ConnectionLost, TlsFailed
from gatepost_agent.delivery.replies import Nonsense, ReplyReader, ServerReply

HIGH_WATER = 128 * 1024  # octets waiting in user space before a writer waits
HELD_REPLIES = 256  # more than any group of commands that we send has replies


class Channel(asyncio.Protocol):
    """One connection to a next hop; used by one task, so at most one wait at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = ReplyReader()
        self._replies: deque[ServerReply] = deque()
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._lost: ConnectionLost | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport

    # ------------------------------------------------------------------------------------------- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called once, before TLS."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """Replies, we hope."""
        try:
            self._replies.extend(self._reader.feed(data))
        except Nonsense as nonsense:
            self._fail(ConnectionLost(f"no SMTP reply: {nonsense}", status="4.5.0"))
            return
        if len(self._replies) > HELD_REPLIES:
            self._fail(ConnectionLost("replies that nothing asked for", status="4.5.0"))
        else:
            self._wake_if_ready()

    def eof_received(self) -> None:
        """The server will say no more (a transport that gets None here closes itself)."""
        self._fail(ConnectionLost("the connection was closed by the next hop"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Reset, or closed by either side."""
        self._fail(ConnectionLost(f"connection lost: {exc}" if exc else "the connection was closed"))
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self._paused = True

    def resume_writing(self) -> None:
        """There is room again."""
        self._paused = False
        self._wake_if_ready()

    # ------------------------------------------------------------------------------------------- what our tasks call

    @property
    def open(self) -> bool:
        """Whether the connection still stands, as far as we have heard."""
        return self._lost is None and not self.transport.is_closing()

    @property
    def quiet(self) -> bool:
        """Whether nothing unasked-for came while the connection lay idle (a 421, most often)."""
        return self.open and not self._replies and self._reader.empty

    def write(self, data: bytes) -> None:
        """Hand octets to the transport; wait with `drained` between large blocks."""
        if self._lost is None:
            self.transport.write(data)

    async def drained(self, timeout_s: float) -> None:
        """Wait until the transport wants more. Raises ConnectionLost, also after timeout_s."""
        if self._paused or self._lost is not None:
            await self._wait(0, timeout_s, "taking the message")

    async def reply(self, timeout_s: float, what: str) -> ServerReply:
        """The next reply; `what` we wait for is named in the error. Raises ConnectionLost, also after timeout_s."""
        if not self._replies:
            await self._wait(1, timeout_s, what)
        return self._replies.popleft()

    async def replies(self, count: int, timeout_s: float, what: str) -> list[ServerReply]:
        """The replies to a pipelined group, with one wakeup for all of them."""
        if len(self._replies) < count:
            await self._wait(count, timeout_s, what)
        return [self._replies.popleft() for _ in range(count)]

    def arrived(self) -> list[ServerReply]:
        """Take what has arrived so far without waiting: what a lost connection still said."""
        taken = list(self._replies)
        self._replies.clear()
        return taken

    async def start_tls(self, context: ssl.SSLContext, name: str, timeout_s: float) -> None:
        """Wrap the connection. What was sent in plain text behind the 220 is dropped unread (CVE-2011-0411)."""
        self._replies.clear()
        self._reader = ReplyReader()
        try:
            self.transport = cast(
                asyncio.Transport,
                await self._loop.start_tls(
                    self.transport, self, context, server_hostname=name, ssl_handshake_timeout=timeout_s
                ),
            )
        except (OSError, EOFError, ValueError) as error:  # ssl.SSLError and timeouts are OSErrors
            raise TlsFailed(f"TLS handshake failed: {error}", status="4.7.5") from error
        if self._lost is not None:
            raise TlsFailed("TLS handshake failed: connection lost", status="4.7.5")
        self._replies.clear()
        self._reader = ReplyReader()
        self.transport.set_write_buffer_limits(high=HIGH_WATER)

    def close(self) -> None:
        """Close after what was written has left."""
        self._stop_timer()
        self.transport.close()

    def abort(self) -> None:
        """Close now: the other side must not take half a message for a whole one."""
        self._stop_timer()
        self.transport.abort()

    # ------------------------------------------------------------------------------------------------------- waiting

    async def _wait(self, count: int, timeout_s: float, what: str) -> None:
        if self._lost is not None:
            raise self._lost
        self._wanted = count
        self._waiter = self._loop.create_future()
        self._deadline = self._loop.time() + timeout_s
        if self._timer is None or self._timer.when() > self._deadline:
            self._stop_timer()
            self._timer = self._loop.call_at(self._deadline, self._tick)
        try:
            await self._waiter
        except TimeoutError:
            raise ConnectionLost(f"timed out {what}", status="4.4.2") from None
        finally:
            self._waiter = None
            self._wanted = 0

    def _wake_if_ready(self) -> None:
        ready = len(self._replies) >= self._wanted if self._wanted else not self._paused
        if ready and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _tick(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._tick)
            return
        self._waiter.set_exception(TimeoutError())
        self._fail(ConnectionLost("timed out"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail(self, error: ConnectionLost) -> None:
        if self._lost is None:
            self._lost = error
            self.transport.abort()
        if self._waiter is not None and not self._waiter.done():
            if self._wanted and len(self._replies) >= self._wanted:
                self._waiter.set_result(None)
            else:
                self._waiter.set_exception(self._lost)
