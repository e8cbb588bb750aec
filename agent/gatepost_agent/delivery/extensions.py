"""What a server said it can do, in its answer to EHLO."""

from typing import NamedTuple

from gatepost_agent.delivery.replies import ServerReply


class Extensions(NamedTuple):
    """The service extensions that we use (RFC 1870, 2920, 3030, 3207, 4954, 6152, 6531)."""

    pipelining: bool = False
    eight_bit: bool = False
    smtp_utf8: bool = False
    chunking: bool = False
    starttls: bool = False
    size: int | None = None  # octets; 0: SIZE is known, the limit is not; None: no SIZE at all
    auth: frozenset[str] = frozenset()


def parse_extensions(reply: ServerReply) -> Extensions:
    """Read an EHLO reply; the first line is the greeting, what we do not know is passed over."""
    offered: dict[str, list[str]] = {}
    for line in reply.lines[1:]:
        # `AUTH=LOGIN` is the form that old servers used before RFC 2554 was done.
        words = line.decode("latin-1").upper().replace("AUTH=", "AUTH ").split()
        if words:
            offered.setdefault(words[0], []).extend(words[1:])
    return Extensions(
        pipelining="PIPELINING" in offered,
        eight_bit="8BITMIME" in offered,
        smtp_utf8="SMTPUTF8" in offered,
        chunking="CHUNKING" in offered,
        starttls="STARTTLS" in offered,
        size=_size(offered.get("SIZE")),
        auth=frozenset(offered.get("AUTH", ())),
    )


def _size(words: list[str] | None) -> int | None:
    if words is None:
        return None
    return int(words[0]) if words and words[0].isdecimal() and len(words[0]) <= 20 else 0
