"""The spool's values: what is queued, and what became of each recipient. No I/O here."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, NamedTuple

from gatepost.policy.dialogue.decision import Envelope

GIB = 1024**3
DAY_S = 86_400.0
Room = Literal["ok", "full", "trouble"]
"""Whether new mail is taken: see Spool.room."""
EXPIRE_AFTER_S = 2 * DAY_S  # Exchange: MessageExpirationTimeout


class Result(StrEnum):
    """What one attempt did for one recipient. Unsure is NOT_NOW."""

    DONE = "done"
    NOT_NOW = "not_now"
    NEVER = "never"
    EXPIRED = "expired"  # NOT_NOW for too long: given up


class RecipientStatus(StrEnum):
    """Where a recipient stands: pending until an attempt ends it."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


class Kind(StrEnum):
    """Relayed mail, or a bounce that we made ourselves (which never causes another)."""

    RELAY = "relay"
    BOUNCE = "bounce"


class Standing(StrEnum):
    """QUEUED is delivered; FAILED and EXPIRED are kept for operators until `keep_until`."""

    QUEUED = "queued"
    FAILED = "failed"
    EXPIRED = "expired"


class RecipientState(NamedTuple):
    """One recipient: `last_reply` is the last thing a next hop said (unescaped), `next_hop` who said it."""

    address: str
    status: RecipientStatus = RecipientStatus.PENDING
    last_reply: str = ""
    next_hop: str = ""
    attempts: int = 0


class QueuedMessage(NamedTuple):
    """A message on disk. Times are seconds since the epoch, sizes octets; `id` is the queue id of the 250.

    `attempts` counts from its arrival or the last retry.
    """

    id: int
    message_id: str
    envelope: Envelope
    recipients: tuple[RecipientState, ...]
    size: int
    received_at: float
    next_attempt: float
    expires_at: float
    attempts: int = 0
    held: bool = False
    kind: Kind = Kind.RELAY
    standing: Standing = Standing.QUEUED
    keep_until: float | None = None  # set when it leaves the queue as FAILED or EXPIRED
    origin: str | None = None  # "<store id>:<queue id>" where an imported message was first
    crc32: int = 0  # of the body
    body_at: int | None = (
        None  # octets before the body in a file of its own; None: the body is in the database
    )

    @property
    def pending(self) -> tuple[str, ...]:
        """The recipients still to be delivered, in envelope order."""
        return tuple(r.address for r in self.recipients if r.status is RecipientStatus.PENDING)

    @property
    def lives_from(self) -> float:
        """When its time to live began: at its arrival, or at the retry that put it back in the queue."""
        return max(self.received_at, self.expires_at - EXPIRE_AFTER_S)

    @property
    def retried_at(self) -> float | None:
        """When an operator said retry, until the attempt that comes of it; new mail is due from its arrival on."""
        return self.next_attempt if not self.attempts and self.next_attempt > self.received_at else None


class Stored(NamedTuple):
    """The message is on disk with its metadata: 250 may be said."""

    internal_id: int
    message_id: str


class Outcome(NamedTuple):
    """One attempt at one recipient: `reply` as the next hop gave it, or our own reason."""

    recipient: str
    result: Result
    reply: str = ""
    next_hop: str = ""


class Bounce(NamedTuple):
    """A report to put in the queue in the same transaction as the outcome that caused it."""

    envelope: Envelope
    message_id: str
    body: bytes


class SpoolLimits(NamedTuple):
    """Bounds of the spool. Everything kept counts, failed and expired mail too."""

    max_messages: int = 100_000
    max_bytes: int = 10 * GIB
    free_floor: int = GIB // 2  # octets of disk that stay free
    inline_max: int = 128 * 1024  # a body above this goes to a file of its own: README.md, figures
    resident_bytes: int = 16 * 1024 * 1024  # just received messages kept in memory until their first attempt
    expire_after_s: float = EXPIRE_AFTER_S  # QueuedMessage.lives_from counts back from it
    keep_s: float = 7 * DAY_S  # failed and expired mail


class Counts(NamedTuple):
    """Cumulative for the life of the store `store_id`: never reset by a restart, exact over a power cut.

    `totals` maps (connector, event) to a number. Events: `accepted` (messages from clients); of recipients:
    `recipients` (of accepted messages), `reports` (of our bounces), `delivered`, `bounced`, `expired`, `deleted`,
    `retried` (failed or expired ones put back in the queue), `imported` (pending ones of other hosts). Always:
    recipients + reports + retried + imported = delivered + bounced + expired + deleted + those still pending.
    Whoever adds reports up takes `store_id` as the incarnation.
    """

    store_id: str
    totals: Mapping[tuple[str, str], int]


class SpoolStatus(NamedTuple):
    """For health and metrics."""

    queued: int
    held: int
    kept: int  # failed and expired mail that operators can still see
    bytes: int
    oldest_received_at: float | None  # of the queued, not held messages
    room: Room
    problems: tuple[str, ...]
    transactions: int = 0  # since the start
    commit_s: float = 0.0  # seconds spent in them
