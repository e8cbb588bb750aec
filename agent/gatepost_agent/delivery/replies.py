"""Reading SMTP replies: tolerant of what servers do, bounded in what they can make us hold (RFC 5321 4.2)."""

import re
from typing import NamedTuple

REPLY_LIMIT = 64 * 1024  # octets of one reply, and of a line without an end
SHOWN_LIMIT = 500  # characters of a reply that a log line or a bounce shows

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ \-])([^\r\n]*))?\r*\n")
_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?:\s|$)")
_UNSHOWN = re.compile(rb"[^ -~]|\\")


class Nonsense(ValueError):
    """What came is no SMTP reply; the text is the escaped start of it."""


class ServerReply(NamedTuple):
    """One reply: its code, and each line's text without the code."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """The whole reply on one line, escaped and cut: for logs, bounces and queue listings."""
        return f"{self.code} {shown(b' '.join(self.lines))}".rstrip()

    @property
    def status(self) -> str:
        """The enhanced status code (RFC 3463), made up from the code's class where none was given."""
        found = _STATUS.match(self.lines[0].decode("latin-1"))
        if found and int(found[1]) == self.code // 100:
            return ".".join(found.groups())
        return f"{self.code // 100}.0.0"


def shown(raw: bytes) -> str:
    """Foreign bytes as printable ASCII, backslashes and the rest escaped, at most SHOWN_LIMIT characters."""
    text = _UNSHOWN.sub(lambda m: b"\\x%02x" % m[0][0], raw[:SHOWN_LIMIT]).decode("ascii")
    return text if len(text) <= SHOWN_LIMIT else text[: SHOWN_LIMIT - 3] + "..."


class ReplyReader:
    """Bytes in, whole replies out."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._octets = 0
        self._code = b""

    @property
    def empty(self) -> bool:
        """Whether nothing half-read is left."""
        return not self._rest and not self._lines

    def feed(self, data: bytes) -> list[ServerReply]:
        """Take what the socket brought; raise Nonsense at the first thing that is no reply."""
        data = self._rest + data if self._rest else data
        replies: list[ServerReply] = []
        at = 0
        while found := _LINE.match(data, at):
            at = found.end()
            self._take(found[1], found[2], found[3] or b"", replies)
        self._rest = data[at:]
        if b"\n" in self._rest or len(self._rest) > REPLY_LIMIT:
            raise Nonsense(shown(self._rest))
        return replies

    def _take(self, code: bytes, more: bytes | None, text: bytes, replies: list[ServerReply]) -> None:
        if self._lines and code != self._code:
            raise Nonsense(f"a reply that begins with {shown(self._code)} goes on with {shown(code)}")
        self._code = code
        self._lines.append(text)
        self._octets += len(text) + 6
        if self._octets > REPLY_LIMIT:
            raise Nonsense(f"a reply of more than {REPLY_LIMIT} octets: {shown(self._lines[0])}")
        if more != b"-":
            replies.append(ServerReply(int(code), tuple(self._lines)))
            self._lines.clear()
            self._octets = 0
