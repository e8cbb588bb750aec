"""What happened, in the past tense: everything a shell may tell a `Session`. One closed vocabulary.

NamedTuples, because one is made for every line a client sends.
"""

from typing import Literal, NamedTuple

from gatepost.policy.dialogue.content import ContentFacts
from gatepost.policy.dialogue.headers import HeaderFacts


class Connected(NamedTuple):
    """The client's TCP connection was accepted. The endpoints were given to `Session()`."""


class Line(NamedTuple):
    """A line from the client, without its line end. `bare_lf`: it ended with LF alone."""

    raw: bytes
    bare_lf: bool = False


class LineTooLong(NamedTuple):
    """A line passed `MAX_LINE` octets; the shell threw it away, but for how it begins (BEGINS octets)."""

    begins: bytes = b""


class TlsStarted(NamedTuple):
    """The handshake after STARTTLS ended; `version` as `TLSv1.3`."""

    version: str
    cipher: str


class ChunkRead(NamedTuple):
    """The octets of a BDAT command were read (or skipped, when it was refused). RFC 3030."""

    octets: int


class HeadersEnded(NamedTuple):
    """The header of the message has ended, or is too long."""

    facts: HeaderFacts


class ContentEnded(NamedTuple):
    """The end of data came: CRLF.CRLF, or the last chunk."""

    facts: ContentFacts


class Stored(NamedTuple):
    """The message is on disk with its metadata. `internal_id` is the queue id."""

    internal_id: int
    message_id: str


class NotStored(NamedTuple):
    """The message is not on disk: no room, or trouble of ours."""

    why: Literal["full", "trouble"]


class TimedOut(NamedTuple):
    """`idle`: ConnectionInactivityTimeout ran out; `session`: ConnectionTimeout did."""

    what: Literal["idle", "session"]


class Interrupted(NamedTuple):
    """The agent is stopping, or the client was blocked."""

    why: Literal["draining", "blocked"]


class Failed(NamedTuple):
    """An exception in the shell or in a decision. `reference` leads an operator to the log line."""

    reference: str


Event = (
    Connected | Line | LineTooLong | TlsStarted | ChunkRead | HeadersEnded | ContentEnded
    | Stored | NotStored | TimedOut | Interrupted | Failed
)  # fmt: skip

BEGINS = 16
MAX_LINE = 4096
"""Octets of a command line, its end included. RFC 5321 asks for 512; AUTH (RFC 4954) for 12,288 is not needed."""
