"""A message's octets on their way out: line ends made whole, dots doubled (RFC 5321 4.5.2).

The spool holds only CRLF line ends. That nothing else leaves is a rule that may not break (a bare LF is a smuggled
message elsewhere), so it is made sure of here a second time: counting costs a microsecond, and only a message
that fails the count is rewritten.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")


async def dotted(blocks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """A body as DATA sends it, final dot included. The last piece is held until the blocks have ended well."""
    cleaner, stuffer = Cleaner(), Stuffer()
    held = b""
    async for block in blocks:
        if held:
            yield held
        held = stuffer.feed(cleaner.feed(block))
    yield held + stuffer.feed(cleaner.end()) + b".\r\n"


async def chunked(blocks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """A body as BDAT sends it, one piece for each chunk and reply (RFC 3030). The last is held as in `dotted`."""
    cleaner = Cleaner()
    held = b""
    async for block in blocks:
        if held:
            yield b"BDAT %d\r\n%b" % (len(held), held)
        held = cleaner.feed(block)
    held += cleaner.end()
    yield b"BDAT %d LAST\r\n%b" % (len(held), held)


async def has_utf8_header(blocks: AsyncGenerator[bytes, None]) -> bool:
    """Whether there is an octet beyond ASCII before a message's first empty line; reads no further than that."""
    rest = b""
    async with aclosing(blocks):
        async for block in blocks:
            header, end, _ = (rest + block).partition(b"\r\n\r\n")
            if end or not header.isascii():
                return not header.isascii()
            rest = header[-3:]
    return False


class Cleaner:
    """Gives a body, in blocks cut anywhere, CRLF line ends only, and one at its end."""

    def __init__(self) -> None:
        self._held = b""  # a CR whose LF may be in the next block
        self._whole = True

    def feed(self, block: bytes) -> bytes:
        """The clean octets of one more block; may be empty."""
        block = self._held + block
        self._held = b"\r" if block.endswith(b"\r") else b""
        if self._held:
            block = block[:-1]
        if not block.count(b"\r") == block.count(b"\n") == block.count(b"\r\n"):
            block = _ANY_LINE_END.sub(b"\r\n", block)
        if block:
            self._whole = block.endswith(b"\n")
        return block

    def end(self) -> bytes:
        """What is still owed: a line end, when the last line has none."""
        if self._held or not self._whole:
            self._held, self._whole = b"", True
            return b"\r\n"
        return b""


class Stuffer:
    """Doubles the dot that begins a line, in clean blocks cut anywhere."""

    def __init__(self) -> None:
        self._line_begins = True

    def feed(self, block: bytes) -> bytes:
        """One more block with its dots doubled."""
        if not block:
            return block
        begins, self._line_begins = self._line_begins, block.endswith(b"\n")
        block = block.replace(b"\n.", b"\n..") if b"\n." in block else block
        return b"." + block if begins and block.startswith(b".") else block
