"""A dialogue acted out: the agent's part without a network, by the same `Session` and `Content`.

Theory of operation. What a client would say is one stream of octets; commands, message text and chunks are cut from
it as the session's decisions ask, exactly as from a socket. Three things that need the outside are made up, and say
so here: a TLS handshake always succeeds, a relay user's secret is always right, and a message is stored, with the
internal id 0, unless a circumstance says otherwise. Charges are booked, so a rate limit shows after as many messages as
it would on a host.
"""

from collections.abc import Iterable
from typing import NamedTuple

from gatepost.policy.analysis.circumstances import EVENTS, Circumstance, host_in
from gatepost.policy.dialogue import logon
from gatepost.policy.dialogue.compiled import Endpoint, Policy
from gatepost.policy.dialogue.content import Content, ContentFacts
from gatepost.policy.dialogue.decision import Charge, Chunk, Decision, Limit, Next, Usage
from gatepost.policy.dialogue.denied import NOBODY_DENIED, DeniedSet
from gatepost.policy.dialogue.events import (
    BEGINS,
    MAX_LINE,
    ChunkRead,
    Connected,
    ContentEnded,
    Event,
    HeadersEnded,
    Line,
    LineTooLong,
    NotStored,
    Stored,
    TlsStarted,
)
from gatepost.policy.dialogue.headers import ContentRules
from gatepost.policy.dialogue.session import Session

SESSION_ID = "0000000000000000"
TLS = TlsStarted("TLSv1.3", "TLS_AES_256_GCM_SHA384")


class Exchange(NamedTuple):
    """What the client said, and the decision on it. `line` is empty for the greeting, `.` for the end of data.

    Secrets are left out of `line`: `***` stands for them.
    """

    line: str
    decision: Decision


class Rehearsal:
    """One client's session with a policy. `usage` is the host with nobody else on it."""

    def __init__(
        self,
        policy: Policy,
        *,
        local: Endpoint,
        remote: Endpoint,
        now: float,
        denied: DeniedSet = NOBODY_DENIED,
    ) -> None:
        self.session = Session(policy, local=local, remote=remote, session_id=SESSION_ID)
        self.usage = Usage(now=now, policy=policy, denied=denied.lookup(remote.address))
        self.exchanges: list[Exchange] = []
        self._data: Content | None = None
        self._content: Content | None = None
        self._unread = b""
        self._stores: NotStored | None = None

    @property
    def last(self) -> Decision:
        return self.exchanges[-1].decision

    @property
    def closed(self) -> bool:
        return self.last.next is Next.CLOSE

    @property
    def refused(self) -> bool:
        return self.closed or (self.last.reply is not None and self.last.reply.refused)

    def happen(self, circumstance: Circumstance) -> None:
        """From now on the host is like that; an event is answered at once."""
        self.usage, self._stores = host_in(circumstance, self.usage, self.session.connector)
        if circumstance in EVENTS:
            self._answer("", self._step(EVENTS[circumstance]))

    def connect(self) -> None:
        self._answer("", self._step(Connected()))

    def say(self, lines: Iterable[str]) -> None:
        """The client sends these lines, each ended by CRLF; what it says after the session closed is lost."""
        self.send(b"".join(line.encode("utf-8", "surrogateescape") + b"\r\n" for line in lines))

    def send(self, octets: bytes) -> None:
        """The client sends these octets: whole lines, any part of a message's text, or whole chunks."""
        self._unread += octets
        while self._unread and not self.closed:
            if self._data is not None:
                self._text(self._data)
            else:
                self._command()

    def log_on(self, user: str) -> None:
        """AUTH with the right secret of a relay user, if this connector offers AUTH at all."""
        self.say(("AUTH LOGIN",))
        if not self.refused:
            self.exchanges[-1] = Exchange("AUTH LOGIN ***", logon.prove(self.session, user, self.usage))

    # --- the shell's part --------------------------------------------------------------------------------------

    def _step(self, event: Event) -> Decision:
        decision = self.session.step(event, self.usage)
        for charge in decision.charges:
            self.usage = _booked(self.usage, charge)
        return decision

    def _answer(self, line: str, decision: Decision) -> None:
        self.exchanges.append(Exchange(_without_secret(line) if decision.secret else line, decision))

    def _command(self) -> None:
        raw, _, self._unread = self._unread.partition(b"\n")
        ended = raw.endswith(b"\r")
        text = raw.removesuffix(b"\r")
        line = text.decode("utf-8", "backslashreplace")
        event = LineTooLong(raw[:BEGINS]) if len(raw) + 1 > MAX_LINE else Line(text, bare_lf=not ended)
        decision = self._step(event)
        match decision.next:
            case Next.READ_DATA if isinstance(decision.argument, ContentRules):
                self._answer(line, decision)
                self._data = Content(decision.argument)
            case Next.READ_CHUNK if isinstance(decision.argument, Chunk):
                self._answer(line, self._chunk(decision.argument))
            case Next.SKIP_CHUNK if isinstance(decision.argument, int):
                self._unread = self._unread[decision.argument :]
                self._answer(line, decision)
            case Next.START_TLS:
                self._answer(line, decision)
                self._step(TLS)
            case _:
                self._answer(line, decision)
        if self.session.transaction is None:
            self._content = None  # chunks of a transaction that is no more

    def _text(self, content: Content) -> None:
        kept = content.feed(self._unread)
        self._unread = self._unread[kept.consumed :]
        self._data = None if kept.ended is not None else content
        stop = self._step(HeadersEnded(kept.header)) if kept.header else None
        if stop is not None and stop.next is not Next.GO_ON:
            self._answer(".", stop)
        elif kept.ended is not None:
            self._answer(".", self._end(kept.ended))

    def _chunk(self, chunk: Chunk) -> Decision:
        content = self._content or Content(chunk.rules, chunked=True)
        octets, self._unread = self._unread[: chunk.octets], self._unread[chunk.octets :]
        kept = content.feed(octets)
        finished = content.finish() if chunk.last else None
        header = kept.header or (finished.header if finished else None)
        stop = self._step(HeadersEnded(header)) if header else None
        self._content = None if chunk.last else content
        if stop is not None and stop.next is not Next.GO_ON:
            return stop
        if finished is not None and finished.ended is not None:
            return self._end(finished.ended)
        return self._step(ChunkRead(chunk.octets))

    def _end(self, facts: ContentFacts) -> Decision:
        transaction = self.session.transaction
        decision = self._step(ContentEnded(facts))
        if decision.next is not Next.STORE or transaction is None:
            return decision
        if self._stores is not None:
            return self._step(self._stores)
        return self._step(Stored(0, facts.header.message_id or transaction.message_id))


def _booked(usage: Usage, charge: Charge) -> Usage:
    match charge.limit:
        case Limit.MESSAGES:
            return usage._replace(messages=charge.state)
        case Limit.USER_MESSAGES:
            return usage._replace(user_messages=charge.state)
        case Limit.RECIPIENTS:
            return usage._replace(recipients=charge.state)
        case Limit.CONNECTIONS:
            return usage._replace(connections=charge.state)
        case Limit.ARRIVALS:
            return usage._replace(arrivals=charge.state)
        case Limit.LOGON_FAILURES:
            return usage._replace(logon_failures=charge.state)


def _without_secret(line: str) -> str:
    words = line.split()
    if len(words) > 1 and words[0].upper() == "AUTH":
        return " ".join([*words[:2], "***"][: len(words)])
    return "***"
