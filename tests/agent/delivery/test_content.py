"""What leaves has whole line ends and doubled dots, however it was cut."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_agent.delivery.content import chunked, dotted, has_utf8_header

bodies = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"a", b"\r\n.\r\n", b"\x00\xff"]), max_size=14
)


async def _blocks(parts: list[bytes]) -> AsyncGenerator[bytes, None]:
    for part in parts:
        yield part


def sent(form: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]], parts: list[bytes]) -> list[bytes]:
    async def gather() -> list[bytes]:
        return [piece async for piece in form(_blocks(parts))]

    return asyncio.run(gather())


def clean(body: bytes) -> bytes:
    """The oracle: read octet by octet what `content` does in blocks."""
    body = re.sub(rb"\r\n|\r|\n", b"\r\n", body)
    return body if not body or body.endswith(b"\r\n") else body + b"\r\n"


def undotted(wire: bytes) -> bytes:
    """As a receiver reads it: fails unless the one end of data is at the very end."""
    lines = wire.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert b"." not in lines[:-2]
    return b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines[:-2])


@given(parts=bodies)
def test_a_receiver_of_data_reads_the_clean_body(parts: list[bytes]) -> None:
    wire = b"".join(sent(dotted, parts))
    assert wire.count(b"\r") == wire.count(b"\n") == wire.count(b"\r\n")
    assert undotted(wire) == clean(b"".join(parts))


@given(parts=bodies)
def test_a_receiver_of_chunks_reads_the_clean_body(parts: list[bytes]) -> None:
    pieces = sent(chunked, parts)
    body = b""
    for number, piece in enumerate(pieces, start=1):
        head, _, content = piece.partition(b"\r\n")
        last = b" LAST" if number == len(pieces) else b""
        assert head == b"BDAT %d" % len(content) + last
        body += content
    assert body == clean(b"".join(parts))


@pytest.mark.parametrize(
    "smuggled", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n\x00.\r\n"]
)
def test_no_bare_line_end_smuggles_a_second_message(smuggled: bytes) -> None:
    body = b"one\r\n" + smuggled + b"MAIL FROM:<evil@contoso.com>\r\n"
    assert undotted(b"".join(sent(dotted, [body]))) == clean(body)


def test_nothing_of_the_end_is_sent_before_the_body_has_ended_well() -> None:
    async def damaged() -> AsyncIterator[bytes]:
        yield b"first\r\n"
        raise ValueError("checksum")

    pieces: list[bytes] = []

    async def gather() -> None:
        async for piece in dotted(damaged()):
            pieces.append(piece)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(ValueError, match="checksum"):
        asyncio.run(gather())
    assert pieces == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (b"Subject: scan\r\n\r\n\xc3\xbc\r\n\r\n", False),
        (b"Subject: \xc3\xbc\r\n\r\nscan\r\n", True),
        (b"Subject: scan\r\nTo: \xc3\xbc", True),
        (b"", False),
    ],
)
def test_utf8_is_found_in_the_header_and_not_in_the_body(size: int, whole: bytes, expected: bool) -> None:
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert asyncio.run(has_utf8_header(_blocks(parts))) is expected
