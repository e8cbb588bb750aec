"""One message on its way from the client into the spool: scanned block by block, kept in bounded memory."""

from collections.abc import Callable

from gatepost.policy.dialogue.content import Content, Kept
from gatepost.policy.dialogue.decision import Envelope
from gatepost.policy.dialogue.events import NotStored, Stored
from gatepost.policy.dialogue.headers import ContentRules
from gatepost_agent.spool import errors
from gatepost_agent.spool.incoming import Incoming
from gatepost_agent.spool.spool import Spool

SLICE = 32 * 1024
"""Octets given to `Content` at once: its copies are as large."""
_GATHERED = (
    64 * 1024
)  # what a small message is kept in until its envelope is final; also one write to the spool


class Arrival:
    """`draft` gives the envelope as known so far, for a message too large to wait for its end.

    Ends with `store` or `abandon`. Trouble with the spool shows in `store` only: by then the client listens.
    """

    def __init__(
        self, spool: Spool, rules: ContentRules, draft: Callable[[], Envelope], *, chunked: bool = False
    ) -> None:
        self.message_id = rules.add_message_id
        self._content = Content(rules, chunked=chunked)
        self._spool = spool
        self._draft = draft
        self._gathered = (
            bytearray()
        )  # not a list: a client that sends octet by octet would fill it with objects
        self._incoming: Incoming | None = None
        self._refused: errors.NotStored | None = None

    def feed(self, block: bytes) -> Kept:
        """Take a block of at most SLICE octets; `drain` before the next one."""
        return self._keep(self._content.feed(block))

    def finish(self) -> Kept:
        """The last chunk of BDAT was fed."""
        return self._keep(self._content.finish())

    def _keep(self, kept: Kept) -> Kept:
        if self._content.wanted and not self._refused:
            self._gathered += kept.data
        return kept

    async def drain(self) -> None:
        """Hand on what has gathered; waits while the disk is behind."""
        if not self._content.wanted or self._refused:
            await self.abandon()
        elif len(self._gathered) > _GATHERED:
            try:
                await self._write_out(self._draft).drain()
            except errors.NotStored as refused:
                self._refused = refused

    def _write_out(self, envelope: Callable[[], Envelope]) -> Incoming:
        if self._incoming is None:
            self._incoming = self._spool.begin(envelope())
        self._incoming.write(bytes(self._gathered))
        self._gathered.clear()
        return self._incoming

    async def store(self, envelope: Envelope, message_id: str) -> Stored | NotStored:
        """Commit; returns when the message is durable, or certainly will not be."""
        if self._refused:
            await self.abandon()
            return NotStored(self._refused.why)
        try:
            incoming = self._write_out(lambda: envelope)
            stored = await incoming.commit(message_id, envelope)
        except errors.NotStored as refused:
            return NotStored(refused.why)
        return Stored(stored.internal_id, stored.message_id)

    async def abandon(self) -> None:
        """Forget the message; nothing of it stays."""
        self._gathered.clear()
        if self._incoming is not None:
            await self._incoming.abandon()
