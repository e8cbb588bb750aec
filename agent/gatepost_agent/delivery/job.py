"""What the scheduler hands to a next hop, and what it gets back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from gatepost_agent.spool.messages import QueuedMessage, Result


class Peer(NamedTuple):
    """Who answered: the next hop as routing named it, the host's name, address and port as dialled, TLS in words."""

    hop: str
    host: str = ""
    address: str = ""
    tls: str = ""


class Attempt(NamedTuple):
    """What one attempt did for one recipient: `status` is RFC 3463's, `reply` escaped and on one line."""

    recipient: str
    result: Result
    status: str
    reply: str
    peer: Peer


class Job:
    """One message for some of its recipients over one next hop. `done` gets an Attempt for each, or HopFailed.

    utf8_header: the header holds UTF-8, so only a next hop with SMTPUTF8 can take it (RFC 6532).

    HopFailed means that nothing was decided: the message may go to the next hop in order at once.
    """

    __slots__ = ("body", "done", "message", "met_trouble", "recipients", "requeued", "utf8_header")

    def __init__(
        self,
        message: QueuedMessage,
        recipients: tuple[str, ...],
        body: Callable[[], AsyncIterator[bytes]],
        done: "asyncio.Future[list[Attempt]]",
        *,
        utf8_header: bool = False,
    ) -> None:
        self.message = message
        self.recipients = recipients
        self.body = body
        self.done = done
        self.utf8_header = utf8_header
        self.requeued = 0  # how often a new connection ended before the message was begun
        self.met_trouble = False  # a recipient got a 4xx or an unsure end

    def finish(self, attempts: list[Attempt]) -> None:
        """Report; harmless when the scheduler no longer waits."""
        self.met_trouble = any(attempt.result is Result.NOT_NOW for attempt in attempts)
        if not self.done.done():
            self.done.set_result(attempts)

    def fail(self, error: Exception) -> None:
        """Report that nothing was decided."""
        if not self.done.done():
            self.done.set_exception(error)
