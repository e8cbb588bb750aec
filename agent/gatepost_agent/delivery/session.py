"""Messages over one SMTP session that is ready for mail.

With PIPELINING (RFC 2920) the steady state is one write and one wakeup per message: a message's content goes out
with the next message's MAIL, RCPT and DATA behind it, and the answer to all of that comes back together. Only the
envelope of the next message is ever ahead, so a connection that dies can put at most one message in doubt.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import NamedTuple

from gatepost_agent.delivery.channel import Channel
from gatepost_agent.delivery.content import chunked, dotted
from gatepost_agent.delivery.envelope import (
    Unfit,
    Verdict,
    attempt,
    decide,
    envelope_commands,
    judge,
    same_for_all,
)
from gatepost_agent.delivery.errors import ConnectionLost
from gatepost_agent.delivery.extensions import Extensions
from gatepost_agent.delivery.job import Attempt, Job, Peer
from gatepost_agent.delivery.replies import ServerReply
from gatepost_agent.spool.messages import Result

Following = Callable[[], Job | None]


class Timeouts(NamedTuple):
    """Seconds to wait for each answer (RFC 5321 4.5.3.2).

    The greeting alone has less than the five minutes of the RFC: mail waits for it that another host could take.
    """

    connect: float = 30
    greeting: float = 60
    command: float = 300
    block: float = 180
    final: float = 600


class Begun(NamedTuple):
    """A message whose envelope is on its way."""

    job: Job
    commands: tuple[bytes, ...]
    reset: bool  # the first command is RSET


class Session:
    """A session after EHLO, TLS and AUTH. One task uses it."""

    def __init__(self, channel: Channel, extensions: Extensions, peer: Peer, timeouts: Timeouts) -> None:
        self._channel = channel
        self._extensions = extensions
        self._timeouts = timeouts
        self._begun: Begun | None = None
        self._reset = False  # a transaction without content must be cleared first
        self.peer = peer
        self.delivered = 0  # transactions that came to an end here

    @property
    def usable(self) -> bool:
        """Whether another message may be tried here."""
        return self._channel.quiet

    async def deliver(self, job: Job, following: Following) -> Job | None:
        """Deliver one message and report to job.done.

        `following` is asked for the next message when its envelope can go out in the same write; that one is
        returned, for the next call. Raises ConnectionLost when nothing was decided for `job`. Whenever the session
        is given up, `take_begun` tells what else was not decided.
        """
        try:
            if self._begun is None or self._begun.job is not job:
                self._channel.write(self._begin(job))
        except Unfit as unfit:
            job.finish(same_for_all(job.recipients, Result.NEVER, unfit.status, str(unfit), self.peer))
            return None
        verdict = await self._envelope(job)
        attempts = verdict.attempts
        if verdict.accepted:
            attempts += await self._content(job, verdict.accepted, following)
        self.delivered += 1
        job.finish(attempts)
        return self._begun.job if self._begun else None

    def take_begun(self) -> Job | None:
        """The job whose envelope went out but was not dealt with, when the session is given up."""
        begun, self._begun = self._begun, None
        return begun.job if begun else None

    def close(self) -> None:
        """Say QUIT if it can be heard; wait for nothing."""
        if self._channel.quiet and self._begun is None:
            self._channel.write(b"QUIT\r\n")
            self._channel.close()
        else:
            self._channel.abort()

    # ------------------------------------------------------------------------------------------------------ envelope

    def _begin(self, job: Job) -> bytes:
        """Set down the envelope's commands; return what to write of them now. Raises Unfit."""
        commands = envelope_commands(job, self._extensions)
        if self._reset:
            commands.insert(0, b"RSET")
        if not self._extensions.chunking:
            commands.append(b"DATA")
        self._begun = Begun(job, tuple(commands), self._reset)
        return b"\r\n".join((*commands, b"")) if self._extensions.pipelining else b""

    async def _envelope(self, job: Job) -> Verdict:
        begun, self._begun = self._begun, None
        if begun is None:
            raise AssertionError("an envelope is read after it was begun")
        replies = await self._answers(begun.commands)
        closing = next((reply for reply in replies if reply.code == 421), None)
        if closing is not None:
            self._channel.abort()
            raise ConnectionLost(f"the next hop is closing: {closing.text}", status=closing.status)
        if begun.reset:
            replies.pop(0)
        data = None if self._extensions.chunking else replies.pop()
        verdict = decide(job, replies[0], replies[1:], data, self.peer)
        if data is not None and data.code == 354 and not verdict.accepted:
            self._channel.write(b".\r\n")  # RFC 2920 3.1: all were refused, content is awaited all the same
            await self._channel.reply(self._timeouts.final, "for the end of no data")
            self._reset = False
        else:
            self._reset = verdict.mail_given and not verdict.accepted
        return verdict

    async def _answers(self, commands: tuple[bytes, ...]) -> list[ServerReply]:
        if self._extensions.pipelining:
            return await self._channel.replies(len(commands), self._timeouts.command, "for the envelope")
        replies = []
        for command in commands:
            self._channel.write(command + b"\r\n")
            verb = command[:4].decode()
            replies.append(await self._channel.reply(self._timeouts.command, f"for {verb}"))
        return replies

    # ------------------------------------------------------------------------------------------------------- content

    async def _content(self, job: Job, accepted: tuple[str, ...], following: Following) -> list[Attempt]:
        """Send the content and learn the outcome. From here on, unsure is not now."""
        try:
            if not self._channel.quiet:
                raise ConnectionLost("replies that nothing asked for", status="4.5.0")
            reply = await self._send_content(job, following)
        except ConnectionLost as lost:
            # A server may refuse in the midst of DATA and hang up: that refusal still counts.
            said = self._channel.arrived()
            self._channel.abort()
            if not said or judge(said[0]) is not Result.NEVER:
                return same_for_all(accepted, Result.NOT_NOW, lost.status, str(lost), self.peer)
            reply = said[0]
        except BaseException as error:
            self._channel.abort()  # half a message must not look like a whole one
            if isinstance(error, asyncio.CancelledError):
                why = "the relay stopped while it sent the message"
                job.finish(same_for_all(accepted, Result.NOT_NOW, "4.3.2", why, self.peer))
            raise
        return [attempt(r, reply, judge(reply), self.peer) for r in accepted]

    async def _send_content(self, job: Job, following: Following) -> ServerReply:
        last = b""
        form = chunked if self._extensions.chunking else dotted
        async with aclosing(form(job.body())) as pieces:
            async for piece in pieces:
                if last and (refused := await self._send_piece(last)):
                    return refused
                last = piece
        self._channel.write(last + self._ahead(following))
        await self._channel.drained(self._timeouts.block)
        return await self._channel.reply(self._timeouts.final, "for the answer to the message")

    async def _send_piece(self, piece: bytes) -> ServerReply | None:
        """Send one piece that is not the last; the reply if it ends the transaction (each BDAT has one)."""
        self._channel.write(piece)
        await self._channel.drained(self._timeouts.block)
        if not self._extensions.chunking:
            return None
        reply = await self._channel.reply(self._timeouts.block, "for BDAT")
        if judge(reply) is Result.DONE:
            return None
        self._reset = True
        return reply

    def _ahead(self, following: Following) -> bytes:
        """The next message's envelope, when it may go out behind this one's content."""
        # After a failed BDAT the server's state is unknown until RSET (RFC 3030 section 2).
        self._reset = self._extensions.chunking
        job = following() if self._extensions.pipelining else None
        if job is None:
            return b""
        try:
            return self._begin(job)
        except Unfit as unfit:
            job.finish(same_for_all(job.recipients, Result.NEVER, unfit.status, str(unfit), self.peer))
            return b""
