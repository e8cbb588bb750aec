"""The verdict on one event: the reply, what the shell does next, what it charges, and why.

A shell carries decisions out and decides nothing itself. NamedTuples, because one is made for every line.
"""

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from gatepost.policy.dialogue.denied import Denial
from gatepost.policy.dialogue.headers import ContentRules
from gatepost.policy.dialogue.replies import Reply

if TYPE_CHECKING:
    from gatepost.policy.dialogue.compiled import Policy


class Pressure(Enum):
    """Whether there is room for more mail; if not, MAIL is refused before data is taken.

    FULL: no room for count, octets or the disk (452). TROUBLE: the disk fails (451). Both end by themselves.
    """

    NONE = "none"
    FULL = "full"
    TROUBLE = "trouble"


class Limit(Enum):
    """What a charge is booked on; the shell keeps a number for each (limit, connector, key)."""

    MESSAGES = "messages"  # key: the client's address
    USER_MESSAGES = "user_messages"  # key: the user
    RECIPIENTS = "recipients"  # key: the client's address
    CONNECTIONS = "connections"  # key: the client's address
    ARRIVALS = "arrivals"  # no key: the host's, shared by all connectors
    LOGON_FAILURES = "logon_failures"  # key: the client's address; shared by all connectors


class Charge(NamedTuple):
    """`state` is what `throttle.take` returned; the shell stores it under (limit, connector, key)."""

    limit: Limit
    connector: str
    key: str
    state: float


class Usage(NamedTuple):
    """The world as the shell sees it, read in the same loop turn as `step`: no await between, so no race.

    now: seconds since 1970. policy: what runs now; the session itself may have begun under an older one.
    connector_open, source_open: *other* sessions open on the session's connector, in all and from its client.
    sessions_open, session_cap: all open sessions, and how many the file limit bears (0: unknown).
    arrivals_per_minute: connections that the host takes (0: as many as come); arrivals: the state of that rate.
    messages, user_messages, recipients, connections, logon_failures: states of the rates, None when nothing is booked.
    pressure, fill: whether the spool has room, and what part of it is taken (0 to 1). free: octets that may come.
    """

    now: float
    policy: "Policy"
    connector_open: int = 0
    source_open: int = 0
    sessions_open: int = 0
    session_cap: int = 0
    arrivals_per_minute: int = 0
    arrivals: float | None = None
    messages: float | None = None
    user_messages: float | None = None
    recipients: float | None = None
    connections: float | None = None
    logon_failures: float | None = None
    pressure: Pressure = Pressure.NONE
    fill: float = 0.0
    free: int = 2**63
    denied: Denial | None = None


class Trace(NamedTuple):
    """Why: the same words in the agent's log and in explain.

    range: the remote IP range that matched, as typed. right: the extended right that decided, if one did.
    source: where that right came from (`group:<name>`, `explicit`, `not granted`). reason: one plain sentence.
    """

    connector: str = ""
    range: str = ""
    principal: str = ""
    right: str = ""
    source: str = ""
    reason: str = ""


EMPTY = Trace()


class Envelope(NamedTuple):
    """What STORE carries to the spool. mail_from: "" is the null sender. client: the address as text."""

    connector: str
    principal: str
    client: str
    helo: str
    mail_from: str
    recipients: tuple[str, ...]
    eight_bit: bool = False
    smtp_utf8: bool = False
    bounce_to: str | None = None


class Chunk(NamedTuple):
    """A BDAT command that was taken: how many octets to read into the message, and whether it is the last."""

    octets: int
    last: bool
    rules: ContentRules


class Next(Enum):
    """What the shell does after sending the reply."""

    READ_LINE = "read_line"
    READ_DATA = "read_data"  # argument: ContentRules
    READ_CHUNK = "read_chunk"  # argument: Chunk; then ChunkRead, or ContentEnded when it was the last
    SKIP_CHUNK = "skip_chunk"  # argument: octets to throw away; the reply is sent after them
    START_TLS = "start_tls"
    STORE = "store"  # argument: Envelope; then Stored or NotStored
    GO_ON = "go_on"  # nothing: keep doing what was being done
    CLOSE = "close"


Argument = ContentRules | Chunk | Envelope | int | None


class Decision(NamedTuple):
    """reply None: the shell does `next` first and reports back.

    delay_s: tarpit; replies already batched wait with it, as Exchange does. secret: do not log this line.
    tolerated: departures from the standard that were let pass, by name, to be counted per device.
    """

    reply: Reply | None
    next: Next = Next.READ_LINE
    argument: Argument = None
    delay_s: float = 0.0
    charges: tuple[Charge, ...] = ()
    secret: bool = False
    trace: Trace = EMPTY
    tolerated: tuple[str, ...] = ()

    def tolerating(self, *departures: str) -> "Decision":
        """The same decision, with more that was let pass."""
        return self._replace(tolerated=(*self.tolerated, *departures)) if departures else self
