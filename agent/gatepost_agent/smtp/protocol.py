"""aiosmtpd's `SMTP`, with the four methods overridden that everything else goes through.

Its own loop answers syntax errors, unknown verbs, long lines and the banner around every hook, so none of it may
run: `_handle_client` holds our conversation instead. `SMTP.__init__` is not called either: for each connection it
inspects all methods and keeps what only its own loop needs.
"""

import asyncio
import socket

from aiosmtpd.smtp import SMTP

from gatepost.policy.dialogue.events import Interrupted
from gatepost.policy.dialogue.session import Session
from gatepost.policy.model.addresses import Address
from gatepost_agent.smtp.conversation import Conversation
from gatepost_agent.smtp.host import Host
from gatepost_agent.smtp.input import Input

_FLUSH_S = 10.0  # time for a client to take our last words


class SmtpProtocol(SMTP):
    """One connection and its session."""

    def __init__(self, host: Host, session: Session, *, counted: bool) -> None:
        loop = asyncio.get_running_loop()
        self.given = Input(host.budget, loop)
        # Makes the StreamWriter when the connection is made; without it start_tls would take us for a client.
        asyncio.StreamReaderProtocol.__init__(self, self.given, self._cb_client_connected, loop)
        self._host = host
        self._counted = counted
        self._session = session
        self.conversation: Conversation | None = None
        self._early: Interrupted | None = None

    async def serve(self, connection: socket.socket) -> None:
        """From the accepted socket to the closed one; one task for a connection."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: self, connection)
        except OSError:  # reset before we came to it
            connection.close()
            return
        await self._handle_client()

    def interrupt(self, event: Interrupted, *, hard: bool = False) -> None:
        """As Conversation.interrupt; before the connection is made, instead of a greeting."""
        if self.conversation is None:
            self._early = event
        else:
            self.conversation.interrupt(event, hard=hard)

    def abort(self) -> None:
        """Cut the connection."""
        if self._writer is not None:
            self._writer.transport.abort()

    @property
    def remote(self) -> Address:
        """The client's."""
        return self._session.remote.address

    # -- the four overrides

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        asyncio.StreamReaderProtocol.connection_made(self, transport)
        self.conversation = Conversation(
            self._host, self._session, self.given, self._writer, counted=self._counted
        )
        if self._early is not None:
            self.conversation.interrupt(self._early)

    def connection_lost(self, error: Exception | None) -> None:
        self.given.lose()
        if self.conversation is not None:
            self.conversation.lost()
        asyncio.StreamReaderProtocol.connection_lost(self, error)

    def eof_received(self) -> bool | None:
        """A client that closes its half still gets its answers, except under TLS, which has no halves."""
        return asyncio.StreamReaderProtocol.eof_received(self)

    async def _handle_client(self) -> None:
        assert self.conversation is not None and self._writer is not None  # noqa: PT018, S101 - it is connected
        try:
            await self.conversation.run()
        finally:
            # Asked first: asyncio's TLS transport, closed after its connection is lost, knows nothing any more.
            is_slow = self._is_slow(self._writer)
            self._writer.close()
        # A session counts until its descriptor is free. A plain connection with nothing unsent closes at once.
        if is_slow and not self.given.lost:
            try:
                async with asyncio.timeout(_FLUSH_S):
                    await self._writer.wait_closed()
            except (TimeoutError, OSError):
                self._writer.transport.abort()

    @staticmethod
    def _is_slow(writer: asyncio.StreamWriter) -> bool:
        return bool(writer.get_extra_info("sslcontext") or writer.transport.get_write_buffer_size())
