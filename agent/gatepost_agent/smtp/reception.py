"""The content of a session's messages: DATA and BDAT read block by block, up to the outcome on disk.

A message is one `Arrival`, from DATA or the first BDAT to its outcome. What its header and its end are answered,
`Session.step` says.
"""

from collections.abc import Awaitable, Callable

from gatepost.policy.dialogue.content import Kept
from gatepost.policy.dialogue.decision import Chunk, Decision, Envelope, Next
from gatepost.policy.dialogue.events import ChunkRead, ContentEnded, Event, HeadersEnded
from gatepost.policy.dialogue.headers import ContentRules
from gatepost.policy.dialogue.session import Session
from gatepost_agent.smtp.arrival import SLICE, Arrival
from gatepost_agent.smtp.input import Input
from gatepost_agent.spool.spool import Spool


class Reception:
    """step: decides. cut: the decision when the session's time is up. more: waits for input, or raises."""

    def __init__(
        self,
        spool: Spool,
        session: Session,
        given: Input,
        *,
        step: Callable[[Event], Decision],
        cut: Callable[[], Decision | None],
        more: Callable[[], Awaitable[None]],
    ) -> None:
        self._spool = spool
        self._session = session
        self._input = given
        self._step = step
        self._cut = cut
        self._more = more
        self._arrival: Arrival | None = None
        self._message_id = ""

    @property
    def is_under_way(self) -> bool:
        """Whether a message has begun that is neither stored nor dropped."""
        return self._arrival is not None

    async def data(self, rules: ContentRules) -> Decision:
        """RFC 5321 4.1.1.4: up to the final dot."""
        arrival = self._arrival = self._begin(rules)
        while True:
            verdict = self._cut() or await self._take(arrival, SLICE)
            if isinstance(verdict, Decision):
                return verdict

    async def chunk(self, chunk: Chunk) -> Decision:
        """RFC 3030. All octets are read even where nothing of them is kept."""
        arrival = self._arrival = self._arrival or self._begin(chunk.rules, chunked=True)
        left = chunk.octets
        while left:
            verdict = self._cut() or await self._take(arrival, min(left, SLICE))
            if isinstance(verdict, Decision):
                return verdict
            left -= verdict
        if not chunk.last:
            return self._step(ChunkRead(chunk.octets))
        ended = await self._answer(arrival, arrival.finish())
        assert ended is not None  # noqa: S101 - finish() always ends the content
        return ended

    async def skip(self, octets: int) -> Decision | None:
        """Throw away the octets of a BDAT that was refused: they must never be taken for commands."""
        while octets:
            if over := self._cut():
                return over
            taken = min(self._input.held, octets)
            self._input.consume(taken)
            octets -= taken
            if not taken:
                await self._more()
        return None

    async def store(self, envelope: Envelope) -> Decision:
        """Commit the message whose end was answered with STORE."""
        arrival, self._arrival = self._arrival, None
        assert arrival is not None  # noqa: S101 - STORE follows content
        return self._step(await arrival.store(envelope, self._message_id))

    async def drop(self) -> None:
        """Forget a message that did not get so far."""
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            await arrival.abandon()

    async def _take(self, arrival: Arrival, most: int) -> Decision | int:
        """Up to `most` octets: how many, or what their header or end is answered. Waits when there are none."""
        block = self._input.peek(most)
        if not block:
            await self._more()
            return 0
        kept = arrival.feed(block)
        self._input.consume(kept.consumed)
        return await self._answer(arrival, kept) or kept.consumed

    async def _answer(self, arrival: Arrival, kept: Kept) -> Decision | None:
        """What the end of the header, or of the content, is answered; None: go on reading."""
        await arrival.drain()
        if kept.header is not None:
            decision = self._step(HeadersEnded(kept.header))
            if decision.next is not Next.GO_ON:
                return decision
        if kept.ended is None:
            return None
        self._message_id = kept.ended.header.message_id or arrival.message_id
        return self._step(ContentEnded(kept.ended))

    def _begin(self, rules: ContentRules, *, chunked: bool = False) -> Arrival:
        return Arrival(self._spool, rules, self._draft, chunked=chunked)

    def _draft(self) -> Envelope:
        """The envelope as far as it is known before the end of the content."""
        session, door = self._session, self._session.door
        assert session.transaction is not None  # noqa: S101 - content belongs to one
        return session.transaction.envelope(
            connector=door.name,
            principal=session.principal,
            client=session.client,
            helo=session.hello or "",
            bounce_to=door.model.bounce_to,
            eight_bit=False,
        )
