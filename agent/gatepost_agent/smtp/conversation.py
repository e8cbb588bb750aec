"""A session on a connection: feeds `Session.step` what the client does and carries out what it decides.

Theory of operation. Every decision comes from `_step`, in the same turn of the loop as the usage it is given and the
charges it makes. Replies are gathered and written before each wait for input (`_more`): a client that pipelines gets
one segment, and none waits for an answer that we hold. Messages are read by `reception.py`. Timers and interruptions
leave an event in `_due`, taken where the session next wants a command; time limits and hard interruptions also
within content. What is being committed is never interrupted: the disk decides.
"""

import asyncio
import secrets
import socket
from functools import lru_cache
from typing import Any

from gatepost.policy.dialogue.decision import Chunk, Decision, Envelope, Limit, Next, Pressure, Usage
from gatepost.policy.dialogue.events import (
    Connected,
    Event,
    Failed,
    Interrupted,
    TimedOut,
    TlsStarted,
)
from gatepost.policy.dialogue.headers import ContentRules
from gatepost.policy.dialogue.replies import Reply
from gatepost.policy.dialogue.session import Session
from gatepost_agent.smtp.account import Account, Unaccounted
from gatepost_agent.smtp.alarm import Alarm
from gatepost_agent.smtp.host import Host
from gatepost_agent.smtp.input import HIGH, Input
from gatepost_agent.smtp.ledger import Others, Place
from gatepost_agent.smtp.reception import Reception

HANDSHAKE_S = 30.0
LINGER_S = 1.0
_UNSENT = 32 * 1024  # octets of replies gathered at most
_TURN = 32  # commands that a session is answered before others have their turn
_PRESSURE = {"ok": Pressure.NONE, "full": Pressure.FULL, "trouble": Pressure.TROUBLE}
_NOBODY_S = 10.0  # time for a client that no connector takes


@lru_cache(maxsize=512)
def _wire(reply: Reply) -> bytes:
    return reply.wire


def _bound(transport: Any) -> None:
    """What a TLS transport holds on its own, before we see it and after we wrote it."""
    transport.set_read_buffer_limits(high=HIGH)
    transport.set_write_buffer_limits(high=_UNSENT)


class _Gone(Exception):
    """The client will send no more, or the connection is gone."""


class Conversation:
    """Run once. `counted` False: the agent's own self test."""

    def __init__(
        self,
        host: Host,
        session: Session,
        given: Input,
        writer: asyncio.StreamWriter,
        *,
        counted: bool = True,
    ) -> None:
        self.session = session
        self._host = host
        self._input = given
        self._writer = writer
        self._place = Place(session.connector.name if session.connector else "", session.client)
        self._counted = counted
        self._account = Account(host.books, session, host.clock()) if counted else Unaccounted()
        self._out = b""
        self._reception = Reception(
            host.spool, session, given, step=self._step, cut=self._cut, more=self._more
        )
        self._due: Interrupted | TimedOut | None = None
        self._is_hard = False
        self._is_sending = False
        self._tarpit: asyncio.Future[None] | None = None
        self._commands = 0

    # -- from outside

    async def run(self) -> None:
        """To the end of the session. The connection is the caller's to close."""
        door, how = self.session.connector, "remote"
        idle_s, session_s = (door.idle_s, door.session_s) if door else (_NOBODY_S, _NOBODY_S)
        alarm = self._alarm = Alarm(idle_s, session_s, self._ring, asyncio.get_running_loop())
        decision = self._begin()
        try:
            while decision.next is not Next.CLOSE:
                try:
                    decision = await self._do(decision)
                except (_Gone, ConnectionError):
                    raise
                except Exception as error:  # noqa: BLE001 - whatever it is, the client must get a reply
                    decision = self._failed(error)
            await self._close(decision)
            how = "local"
        except (_Gone, ConnectionError):
            pass
        finally:
            alarm.cancel()
            self._host.sessions.leave(self._place)
            self._account.close(self._host.clock(), how)
            await self._reception.drop()

    def interrupt(self, event: Interrupted, *, hard: bool = False) -> None:
        """End the session at its next command, at once if it waits for one. `hard`: also within content."""
        self._due = self._due or event
        self._is_hard = self._is_hard or hard
        self._input.rouse()
        self.lost()

    def lost(self) -> None:
        """Nobody waits for the end of a tarpit any more."""
        if self._tarpit is not None:
            self._tarpit.cancel()

    def _ring(self, event: TimedOut) -> None:
        self._due = event
        self._input.rouse()
        if self._is_sending:  # the client does not even read
            self._writer.transport.abort()

    # -- decisions

    def _begin(self) -> Decision:
        """The caps are taken with the decision, and given back by `run` whatever it was."""
        return self._step(self._due or Connected(), self._host.sessions.enter(self._place))

    def _usage(self) -> Usage:
        host, current, session = self._host, self._host.current, self.session
        usage = Usage(
            host.clock(),
            current.policy or session.policy,
            pressure=_PRESSURE[host.spool.room()],
            fill=host.spool.fill(),
            free=host.spool.free(),
            denied=current.denied.lookup(session.remote.address) if current.denied.denials else None,
        )
        rates = host.rates
        if not rates:
            return usage
        connector, client = self._place
        return usage._replace(
            messages=rates.get(Limit.MESSAGES, connector, client),
            user_messages=rates.get(Limit.USER_MESSAGES, connector, session.principal),
            connections=rates.get(Limit.CONNECTIONS, connector, client),
            recipients=rates.get(Limit.RECIPIENTS, connector, client),
            logon_failures=rates.get(Limit.LOGON_FAILURES, "", client),
        )

    def _step(self, event: Event, others: Others | None = None) -> Decision:
        try:
            usage = self._usage()
            if others is not None:
                usage = usage._replace(
                    connector_open=others.connector_open,
                    source_open=others.source_open,
                    sessions_open=others.sessions_open,
                    session_cap=self._host.session_cap,
                    arrivals_per_minute=self._host.arrivals_per_minute,
                    arrivals=self._host.rates.get(Limit.ARRIVALS, "", ""),
                )
            decision = self.session.step(event, usage)
            if decision.charges and self._counted:
                self._host.rates.book(decision.charges)
            self._account.note(event, decision)
        except Exception as error:  # noqa: BLE001 - as in `run`
            return self._failed(error)
        return decision

    def _failed(self, error: Exception) -> Decision:
        """421 with a fixed text and a reference into the log."""
        event = Failed(secrets.token_hex(4))
        self._account.failed(event.reference, error)
        decision = self.session.step(event, Usage(self._host.clock(), self.session.policy))
        self._account.note(event, decision)
        return decision

    # -- carrying out

    async def _do(self, decision: Decision) -> Decision:
        """Carry out a decision; what was decided next. Raises _Gone."""
        next_, argument = decision.next, decision.argument
        reception = self._reception
        if reception.is_under_way and self.session.transaction is None:
            await reception.drop()
        if next_ is Next.START_TLS:
            return await self._secure(decision)
        if isinstance(argument, int) and (over := await reception.skip(argument)):
            return over
        if decision.delay_s:
            await self._pause(decision.delay_s)
        if decision.reply is not None:
            self._out += _wire(decision.reply)
        if next_ is Next.READ_LINE:
            return await self._command()
        if isinstance(argument, ContentRules):
            return await reception.data(argument)
        if isinstance(argument, Chunk):
            return await reception.chunk(argument)
        if isinstance(argument, Envelope):
            return await reception.store(argument)
        return await self._command()

    async def _command(self) -> Decision:
        """The next command, or what interrupts the session before it."""
        self._commands += 1
        if self._commands % _TURN == 0 or len(self._out) > _UNSENT:
            await asyncio.sleep(0)
            if self._out and self._write():
                await self._drain()
        while self._due is None:
            line = self._input.line()
            if line is not None:
                return self._step(line)
            await self._more()
        return self._step(self._due)

    async def _more(self) -> None:
        """Wait until something may have changed. Before that, all that was said goes out. Raises _Gone."""
        if self._out and self._write():
            return await self._drain()
        if self._input.ended:
            raise _Gone
        self._alarm.waiting()
        await self._input.wait()
        self._alarm.working()
        return None

    def _write(self) -> bool:
        """Write the gathered replies; whether the client is so far behind that we must wait. Raises _Gone."""
        if self._input.lost:
            raise _Gone
        transport = self._writer.transport
        transport.write(self._out)
        self._out = b""
        return transport.get_write_buffer_size() > _UNSENT

    async def _drain(self) -> None:
        self._alarm.waiting()
        self._is_sending = True
        try:
            await self._writer.drain()
        finally:
            self._is_sending = False
            self._alarm.working()

    async def _pause(self, delay_s: float) -> None:
        """A tarpit. Replies gathered before it wait with it, as Exchange does."""
        self._tarpit = asyncio.ensure_future(self._host.sleep(delay_s))
        try:
            await asyncio.wait({self._tarpit})
        finally:
            self._tarpit.cancel()
            self._tarpit = None

    async def _secure(self, decision: Decision) -> Decision:
        """STARTTLS. What the client sent in clear behind it was never said (RFC 3207 4.2)."""
        # A certificate that fails must fail before the client hears 220.
        context = await self._host.certificates.context(self.session.door.model)
        if decision.reply is not None:
            self._out += _wire(decision.reply)
        self._write()
        await self._drain()  # or start_tls would, and let in clear text meanwhile
        self._input.clear()
        # A TLS layer reads all that has arrived at once, and holds it as it came, in its own buffers and in clear.
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HIGH // 4)
        try:
            await self._writer.start_tls(context, ssl_handshake_timeout=HANDSHAKE_S)
        except OSError as error:  # an SSLError and a TimeoutError too
            self._account.tls_failed(error)
            raise _Gone from error
        self._input.set_transport(self._writer.transport)
        _bound(self._writer.transport)
        tls = self._writer.get_extra_info("ssl_object")
        return self._step(TlsStarted(tls.version() or "", tls.cipher()[0]))

    async def _close(self, decision: Decision) -> None:
        if decision.delay_s:
            await self._pause(decision.delay_s)
        if decision.reply is not None:
            self._out += _wire(decision.reply)
        if self._out and self._write():
            await self._drain()
        # A client that was let in may just be sending; who said QUIT, or was turned away at once, is not.
        if decision.reply is not None and decision.reply.refused and self._commands and not self._input.ended:
            await self._linger()

    async def _linger(self) -> None:
        """The client shall read our last reply: closing on unread octets would reset the connection, and lose it."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        try:
            async with asyncio.timeout(LINGER_S):
                while not self._input.ended:
                    self._input.clear()
                    await self._input.wait()
        except TimeoutError:
            pass

    def _cut(self) -> Decision | None:
        """What ends a session within content: a time limit, or a hard interruption."""
        due = self._due
        is_cut = isinstance(due, TimedOut) or (due is not None and self._is_hard)
        return self._step(due) if due is not None and is_cut else None
