"""The reply parser: what servers do is read, what they could do to us is bounded."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_agent.delivery.replies import REPLY_LIMIT, Nonsense, ReplyReader, ServerReply, shown


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"250 ok\r\n", ServerReply(250, (b"ok",))),
        (b"250\r\n", ServerReply(250, (b"",))),
        (b"250 \r\n", ServerReply(250, (b"",))),
        (b"250 bare line feed\n", ServerReply(250, (b"bare line feed",))),
        (b"250-one\r\n250-\r\n250 two\r\n", ServerReply(250, (b"one", b"", b"two"))),
        (b"250-one\r\n250\r\n", ServerReply(250, (b"one", b""))),
        (b"550 5.1.1 caf\xc3\xa9\r\n", ServerReply(550, (b"5.1.1 caf\xc3\xa9",))),
    ],
)
def test_what_servers_send_is_read(raw: bytes, expected: ServerReply) -> None:
    assert ReplyReader().feed(raw) == [expected]


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\r\n",
        b"25 ok\r\n",
        b"250ok\r\n",
        b"\r\n",
        b"199 no\r\n",
        b"650 no\r\n",
        b"250-a\r\n251 b\r\n",
        b"\n",
    ],
)
def test_nonsense_is_said_to_be_nonsense(raw: bytes) -> None:
    with pytest.raises(Nonsense):
        ReplyReader().feed(raw)


@given(cuts=st.lists(st.integers(0, 60), max_size=6))
def test_replies_come_out_the_same_wherever_the_network_cut_them(cuts: list[int]) -> None:
    raw = b"220 hi\r\n250-fake\r\n250-PIPELINING\r\n250 SIZE\r\n354 go\r\n"
    reader = ReplyReader()
    edges = [0, *sorted(cuts), len(raw)]
    found = [reply for start, end in itertools.pairwise(edges) for reply in reader.feed(raw[start:end])]
    assert [reply.code for reply in found] == [220, 250, 354]
    assert reader.empty


@pytest.mark.parametrize("piece", [b"x" * 1024, b"250-" + b"x" * 1024 + b"\r\n"])
def test_neither_a_line_nor_a_reply_without_an_end_is_held_for_ever(piece: bytes) -> None:
    reader = ReplyReader()
    for _ in range(REPLY_LIMIT // 1024 - 1):
        assert reader.feed(piece) == []
    with pytest.raises(Nonsense):
        reader.feed(piece * 2)


def test_foreign_text_is_escaped_and_cut() -> None:
    assert shown(b"a\x1b[2J\\\xff") == r"a\x1b[2J\x5c\xff"
    assert len(shown(b"\xff" * 5000)) <= 500


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"550 5.1.1 no such user\r\n", "5.1.1"),
        (b"550 no such user\r\n", "5.0.0"),
        (b"450 5.1.1 contradicts itself\r\n", "4.0.0"),
        (b"250-2.0.0 a\r\n250 2.0.0 b\r\n", "2.0.0"),
    ],
)
def test_the_status_is_the_servers_or_the_codes_class(raw: bytes, status: str) -> None:
    assert ReplyReader().feed(raw)[0].status == status
