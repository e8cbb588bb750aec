"""Content: the octets of one message, from DATA or BDAT, in; the octets to keep, out."""

from typing import NamedTuple

from gatepost.policy.dialogue.headers import HeaderFacts


class ContentFacts(NamedTuple):
    """What a whole message was.

    octets: its size as received, without stuffed dots and the final dot.
    bare_cr, bare_lf: line ends that were not CRLF.
    eight_bit, nul: the body holds such octets; the header's own are in `header`.
    over_limit: octets passed max_size.
    """

    octets: int
    bare_cr: int
    bare_lf: int
    eight_bit: bool
    nul: bool
    over_limit: bool
    header: HeaderFacts


class Kept(NamedTuple):
    """What one block came to.

    data: octets to store, in order.
    consumed: how many octets of the block belong to the message; the rest are the client's next commands.
    header: set once, when the header has ended or is too long.
    ended: set once, with the end of data.
    """

    data: bytes
    consumed: int
    header: HeaderFacts | None = None
    ended: ContentFacts | None = None
