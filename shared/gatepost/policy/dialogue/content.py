"""Content: the octets of one message, from DATA or BDAT, in; the octets to keep, out.

Theory of operation, in the order of the work done on each block, all of it by searches over the whole block:

1. *Lines of the protocol.* Only CRLF ends a line here. CRLF.CRLF ends the data, the dot at the start of any other
   line is removed (RFC 5321 4.5.2). The first line counts as preceded by CRLF. Octets that the next block may turn
   into something else (a CR, a dot at the start of a line) are held, three at most.
2. *Lines of the message.* What is left has every bare CR and bare LF made CRLF. So the header firewall sees the lines
   that a laxer reader would see, and none leaves. A lone dot may now stand on a line: it is text; delivery stuffs it.
3. *Header*, while it lasts: `header_block.py`. Then the body passes as it is, whatever the length of its lines.

What is kept always ends with CRLF. After a limit is passed the machine goes on to the end of data, keeping nothing.
"""

from typing import NamedTuple

from gatepost.policy.dialogue.header_block import HeaderBlock
from gatepost.policy.dialogue.headers import ContentRules, HeaderFacts

LONGEST_LINE = 998  # octets without its CRLF (RFC 5322 2.1.1)


class ContentFacts(NamedTuple):
    """What a whole message was.

    octets: its size as received, without stuffed dots and the final dot.
    bare_cr, bare_lf: line ends that were not CRLF.
    eight_bit, nul: the body holds such octets; the header's own are in `header`.
    long_line: a line is longer than LONGEST_LINE.
    over_limit: octets passed max_size; then, as after an overlong header, the other facts may be incomplete.
    """

    octets: int
    bare_cr: int
    bare_lf: int
    eight_bit: bool
    nul: bool
    long_line: bool
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


class Content:
    """One message. DATA ends by itself (`Kept.ended`); the chunks of BDAT when the client says so (`finish`).

    octets, bare_cr, bare_lf, over_limit: so far, as in ContentFacts. finished: the end of data has come.
    """

    def __init__(self, rules: ContentRules, *, chunked: bool = False) -> None:
        self.octets = self.bare_cr = self.bare_lf = 0
        self.finished = False
        self._rules = rules
        self._chunked = chunked
        self._header = HeaderBlock(rules)
        self._unsent = rules.prepend
        self._held = b""
        self._after_crlf = True
        self._lines = _Lines()
        self._eight_bit = self._nul = False

    @property
    def over_limit(self) -> bool:
        return self._rules.max_size is not None and self.octets > self._rules.max_size

    @property
    def wanted(self) -> bool:
        """Whether the message can still be accepted; once False nothing more is kept of it."""
        refused = self.bare_cr + self.bare_lf > 0 and self._rules.bare_linefeed == "refuse"
        header = self._header.facts
        return not (self.over_limit or refused or (header is not None and not header.complete))

    def feed(self, block: bytes | bytearray | memoryview) -> Kept:
        """The next octets from the client. After the end of data nothing is consumed."""
        if self.finished:
            return Kept(b"", 0)
        before = len(self._held)
        data = self._held + block if before else bytes(block)
        text, used = self._chunk(data) if self._chunked else self._unstuff(data)
        return self._keep(text, used - before)

    def finish(self) -> Kept:
        """The last chunk of BDAT has been fed."""
        self.finished = True
        return self._keep(self._held, 0)

    def _chunk(self, data: bytes) -> tuple[bytes, int]:
        return self._hold(data, 0, 1 if data.endswith(b"\r") else 0), len(data)

    def _unstuff(self, data: bytes) -> tuple[bytes, int]:
        """The text in `data` without protocol dots, and how much of `data` belongs to the message."""
        start = 0
        if self._after_crlf and data.startswith(b"."):
            if data.startswith(b".\r\n"):
                self.finished = True
                return b"", 3
            if len(data) == 1 or data == b".\r":
                return self._hold(data, 0, len(data)), len(data)
            start = 1
        dot = data.find(b"\r\n.", start)
        if dot < 0:
            return self._hold(data, start, 1 if data.endswith(b"\r") else 0), len(data)
        end = data.find(b"\r\n.\r\n", dot)
        if end >= 0:
            self.finished = True
            text = data[start : end + 2]
            return (text if dot == end else text.replace(b"\r\n.", b"\r\n")), end + 5
        undecided = 2 if data.endswith(b"\r\n.\r") else 1 if data.endswith((b"\r", b"\r\n.")) else 0
        return self._hold(data, start, undecided).replace(b"\r\n.", b"\r\n"), len(data)

    def _hold(self, data: bytes, start: int, undecided: int) -> bytes:
        """All of `data` from `start` but its last, undecided octets, which wait for the next block."""
        end = len(data) - undecided
        self._held = data[end:]
        if end > start:
            self._after_crlf = data.endswith(b"\r\n", start, end)
        return data[start:end]

    def _keep(self, text: bytes, consumed: int) -> Kept:
        self.octets += len(text)
        clean = self._normalise(text)
        self._lines.measure(clean)
        if self.finished and self._lines.open:
            clean += b"\r\n"
        known = self._header.facts
        data = self._split(clean)
        header = self._header.facts
        if not self.wanted:
            data = b""
        elif self._unsent:
            data, self._unsent = self._unsent + data, b""
        ended = self._facts(header) if self.finished and header is not None else None
        return Kept(data, consumed, header if known is None else None, ended)

    def _split(self, clean: bytes) -> bytes:
        """What to keep of header and body."""
        if self._header.facts is not None:
            kept, body = b"", clean
        else:
            kept, body = self._header.feed(clean)
            if self.finished and self._header.facts is None:
                kept += self._header.finish()
        self._eight_bit = self._eight_bit or not body.isascii()
        self._nul = self._nul or b"\0" in body
        return kept + body if kept else body

    def _normalise(self, text: bytes) -> bytes:
        pairs = text.count(b"\r\n")
        bare_cr, bare_lf = text.count(b"\r") - pairs, text.count(b"\n") - pairs
        if not bare_cr and not bare_lf:
            return text
        self.bare_cr += bare_cr
        self.bare_lf += bare_lf
        return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")

    def _facts(self, header: HeaderFacts) -> ContentFacts:
        return ContentFacts(
            octets=self.octets,
            bare_cr=self.bare_cr,
            bare_lf=self.bare_lf,
            eight_bit=self._eight_bit,
            nul=self._nul,
            long_line=self._lines.too_long,
            over_limit=self.over_limit,
            header=header,
        )


class _Lines:
    """How long the lines are. open: octets of the line that has not ended; `too_long` stays once it is set."""

    def __init__(self) -> None:
        self.open = 0
        self.too_long = False

    def measure(self, text: bytes) -> None:
        """The next octets, whose line ends are CRLF, none cut in two. From line end to the last one that is near
        enough: a step for every 998 octets, whatever the lines' length."""
        at, room = 0, LONGEST_LINE - self.open
        while not self.too_long and len(text) - at > room:
            end = text.rfind(b"\r\n", at, at + room + 2)
            self.too_long = end < 0
            at, room = end + 2, LONGEST_LINE
        last = text.rfind(b"\n") + 1
        self.open = len(text) - last + (0 if last else self.open)
