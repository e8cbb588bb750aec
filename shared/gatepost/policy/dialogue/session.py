"""One SMTP session: `step(event, usage) -> Decision`. State and transitions, nothing else.

Theory of operation. A session is made when a client connects; the policy of that moment says which connector
takes it. Then the shell tells it what happened and does what it answers: `Connected` first, a `Line` for each
command, and around a message

    DATA -> READ_DATA … HeadersEnded (GO_ON) … ContentEnded -> STORE … Stored -> 250
    BDAT -> READ_CHUNK … ChunkRead -> 250 …  BDAT LAST -> READ_CHUNK … ContentEnded -> STORE … Stored -> 250

A message whose ContentEnded is not answered by STORE is to be thrown away. The checks are in `rules/`, called
here in the order of reference section 10.3; the commands' own grammar is in `commands.py`.

The whole concurrency rule: `usage` is read and the decision's charges are booked in the same turn of the loop as
`step`. With no await between, two sessions cannot both take the last place.
"""

from gatepost.policy.dialogue import commands, replies, transfer
from gatepost.policy.dialogue.compiled import CompiledConnector, Endpoint, Policy
from gatepost.policy.dialogue.decision import Argument, Charge, Decision, Limit, Next, Trace, Usage
from gatepost.policy.dialogue.domains import within
from gatepost.policy.dialogue.events import (
    ChunkRead,
    Connected,
    ContentEnded,
    Event,
    Failed,
    HeadersEnded,
    Interrupted,
    Line,
    LineTooLong,
    NotStored,
    Stored,
    TimedOut,
    TlsStarted,
)
from gatepost.policy.dialogue.headers import format_date
from gatepost.policy.dialogue.logon import Logon
from gatepost.policy.dialogue.replies import Reply
from gatepost.policy.dialogue.rules import auth, connect, rates
from gatepost.policy.dialogue.rules.refusal import Refusal
from gatepost.policy.dialogue.transaction import Transaction
from gatepost.policy.model.rights import USER_PREFIX, Right
from gatepost.policy.model.tolerances import OLD_TLS, Tolerance

# A block ends a session at its next command; what was already taken still gets its answer.
_OLD_TLS = ("TLSv1", "TLSv1.1")  # RFC 8996; as OpenSSL names them
_OUTLIVES_BLOCK = (Connected, Stored, NotStored, Failed, TimedOut, Interrupted)


class Session:
    """Mutable, one per connection. `session_id` is any short unique text; it goes into Received and Message-ID."""

    def __init__(self, policy: Policy, *, local: Endpoint, remote: Endpoint, session_id: str) -> None:
        self.policy = policy
        self.local = local
        self.remote = remote
        self.client = str(remote.address)
        self.session_id = session_id
        # Exchange's limits per source count global addresses only (reference 7.2).
        self.is_counted = not remote.address.is_local_scope
        match = policy.select(local, remote.address)
        self.range = match.range if match else ""
        self.connector: CompiledConnector | None = policy.connectors[match.connector] if match else None
        self.principal = self.connector.first_principal if self.connector else ""
        self.hello: str | None = None
        self.extended = False
        self.tls: TlsStarted | None = None
        self.logon: Logon | None = None
        self.transaction: Transaction | None = None
        self.messages = 0
        self.protocol_errors = 0
        self.logon_failures = 0
        self.trace = self._base_trace()

    @property
    def door(self) -> CompiledConnector:
        """The connector, once the client is in."""
        assert self.connector is not None  # noqa: S101 (Connected closed the session otherwise)
        return self.connector

    @property
    def authenticated(self) -> bool:
        return self.principal.startswith(USER_PREFIX)

    def become(self, principal: str) -> None:
        """AUTH succeeded: from here on only this principal's rights count."""
        self.principal = principal
        self.trace = self._base_trace()

    def step(self, event: Event, usage: Usage) -> Decision:
        """What to do about one event. Never raises for anything a client can send."""
        denied = usage.denied
        if denied is not None and denied.effect == "no_service" and not isinstance(event, _OUTLIVES_BLOCK):
            return self.close(replies.NOT_AVAILABLE, f"denied: {denied.range} ({denied.source})")
        match event:
            case Line():
                return self._line(event, usage)
            case HeadersEnded() | ContentEnded() | Stored() | NotStored() | ChunkRead():
                return transfer.step(self, event, usage)
            case Connected():
                return self._connected(usage)
            case LineTooLong():
                return self.no_command(event.begins, replies.LINE_TOO_LONG, "a line longer than MAX_LINE")
            case TlsStarted():
                self._start_over(event)
                decision = Decision(None, Next.READ_LINE, trace=self.trace)
                return decision.tolerating(OLD_TLS) if event.version in _OLD_TLS else decision
            case TimedOut():
                return self.close(
                    replies.IDLE_TIMEOUT if event.what == "idle" else replies.SESSION_TIMEOUT, event.what
                )
            case Interrupted():
                return self.close(replies.NOT_AVAILABLE, event.why)
            case Failed():
                return self.close(replies.local_error(event.reference), "an error of ours")

    # --- decisions ---------------------------------------------------------------------------------------------

    def say(
        self,
        reply: Reply | None,
        next_: Next = Next.READ_LINE,
        argument: Argument = None,
        *,
        secret: bool = False,
    ) -> Decision:
        return Decision(reply, next_, argument, secret=secret, trace=self.trace)

    def close(self, reply: Reply | None, reason: str) -> Decision:
        return Decision(reply, Next.CLOSE, trace=self.trace._replace(reason=reason))

    def refuse(
        self, refusal: Refusal, *, next_: Next = Next.READ_LINE, argument: Argument = None
    ) -> Decision:
        """A refusal as a decision: with its trace, and tarpitted when it is final and the client is unproved."""
        delay = self.door.tarpit_s if refusal.reply.code >= 500 and not self.authenticated else 0.0
        trace = self.explain(refusal.right, refusal.reason)
        return Decision(refusal.reply, Next.CLOSE if refusal.close else next_, argument, delay, trace=trace)

    def protocol_error(self, reply: Reply, reason: str) -> Decision:
        """Source: Exchange parameters MaxProtocolErrors and TarpitInterval."""
        self.protocol_errors += 1
        if self.protocol_errors > self.door.max_protocol_errors:
            return self.close(replies.TOO_MANY_ERRORS, "max_protocol_errors is exceeded")
        return self.refuse(Refusal(reply, reason))

    def no_command(self, begins: bytes, reply: Reply, reason: str) -> Decision:
        """The decision on a line that no command can be read from; begins: how it does.

        It is no response either: an exchange of AUTH ends (RFC 4954 section 4).
        """
        last = transfer.uncounted(self, begins)
        secret, self.logon = self.logon is not None, None
        return last or self.protocol_error(reply, reason)._replace(secret=secret)

    def explain(self, right: Right | None, reason: str) -> Trace:
        """The session's trace with the right that decided and where it came from."""
        if right is None:
            return self.trace._replace(reason=reason)
        ace = self.door.ace(self.principal, right)
        source = "not granted" if ace is None else f"deny {ace.source}" if ace.deny else ace.source
        return self.trace._replace(right=str(right), source=source, reason=reason)

    # --- events ------------------------------------------------------------------------------------------------

    def _base_trace(self) -> Trace:
        return Trace(
            connector=self.connector.name if self.connector else "",
            range=self.range,
            principal=self.principal,
        )

    def _connected(self, usage: Usage) -> Decision:
        refusal = connect.check(self.connector, usage if self.is_counted else usage._replace(source_open=0))
        if refusal is not None:
            return self.close(refusal.reply, refusal.reason)
        door = self.door
        arrival = rates.arrival(door, usage)
        if arrival is None:
            return self.close(replies.TOO_MANY_CONNECTIONS, "the host's own rate of connections is exceeded")
        charges = self.charges(Limit.CONNECTIONS, usage.connections, door.connections_per_minute, usage)
        if charges is None:
            return self.close(replies.too_many_from_source(door.fqdn), "connection_rate_limit is exceeded")
        greeting = replies.greeting(door.fqdn, format_date(usage.now), door.model.banner)
        return self.say(greeting)._replace(charges=(*arrival, *charges))

    def charges(
        self, limit: Limit, state: float | None, per_minute: int, usage: Usage
    ) -> tuple[Charge, ...] | None:
        """What one more of something costs this client's address; None when its rate has no room."""
        if not self.is_counted:
            return ()
        return rates.charges(self.door, limit, self.client, state, per_minute=per_minute, now=usage.now)

    def _line(self, event: Line, usage: Usage) -> Decision:
        if event.bare_lf and not self.door.tolerates((Tolerance.BARE_LF_LINE,)):
            return self.no_command(event.raw, replies.UNRECOGNIZED, "a command that ends with LF alone")
        if self.logon is not None:
            decision = self.logon.proceed(self, event.raw, usage)
        else:
            decision = commands.step(self, event.raw, usage)
        return decision.tolerating(Tolerance.BARE_LF_LINE) if event.bare_lf else decision

    def _start_over(self, tls: TlsStarted) -> None:
        """After STARTTLS nothing that was said in clear counts (RFC 3207 4.2)."""
        self.tls = tls
        self.hello = None
        self.transaction = None
        self.principal = self.door.first_principal
        self.trace = self._base_trace()

    # --- the running policy ------------------------------------------------------------------------------------

    def outlived(self, usage: Usage) -> bool:
        """Whether a newer config allows this session less: then it must not begin another message.

        More rights do not reach an open session, and limits stay those it began with.
        """
        running = usage.policy
        if running is self.policy:
            return False
        match = running.select(self.local, self.remote.address)
        if match is None or match.connector != self.door.name:
            return True
        door = running.connectors[match.connector]
        if self.authenticated:
            may_stand = auth.offered(door, tls=self.tls is not None) and not self._user_lost(running)
        else:
            may_stand = self.principal == door.first_principal  # else what proved the client does so no more
        if not may_stand:
            return True
        return not self.door.rights(self.principal) <= door.rights(self.principal) or self._narrowed(
            running, door
        )

    def _narrowed(self, running: Policy, door: CompiledConnector) -> bool:
        """Whether TLS is asked for now, a domain is no longer allowed, or one is no longer accepted."""
        before, now = self.door.model, door.model
        return (
            (now.require_tls and self.tls is None)
            or not within(now.allowed_sender_domains, before.allowed_sender_domains)
            or not within(now.allowed_recipient_domains, before.allowed_recipient_domains)
            or not set(self.policy.bundle.accepted_domains) <= set(running.bundle.accepted_domains)
        )

    def _user_lost(self, running: Policy) -> bool:
        """Whether the relay user is gone, has another secret, or may no longer send as an address of its own."""
        name = self.principal.removeprefix(USER_PREFIX)
        began, now = self.policy.users.get(name), running.users.get(name)
        if began is None or now is None or began.verifier != now.verifier:
            return True
        return not set(began.senders) <= set(now.senders)
