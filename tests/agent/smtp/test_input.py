"""Lines are found wherever blocks end; memory stays bounded whatever comes."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.dialogue.events import BEGINS, MAX_LINE, Line, LineTooLong
from gatepost_agent.smtp.input import HIGH, SMALL, Budget, Input

Run = Callable[[Any], Any]


class FakeSocket(asyncio.Transport):
    """Remembers when it was told to stop reading, and to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[str] = []

    def pause_reading(self) -> None:
        self.changes.append("stop")

    def resume_reading(self) -> None:
        self.changes.append("go")

    def is_closing(self) -> bool:
        return False


class Fed:
    def __init__(self, limit: int = 10**9) -> None:
        self.budget = Budget(limit)
        self.loop = asyncio.new_event_loop()
        self.given = Input(self.budget, self.loop)
        self.socket = FakeSocket()
        self.given.set_transport(self.socket)

    def lines(self) -> list[Any]:
        found = []
        while (line := self.given.line()) is not None:
            found.append(line)
        return found


@pytest.fixture
def fed() -> Any:
    made = Fed()
    yield made
    made.loop.close()


def test_a_line_says_how_it_ended(fed: Fed) -> None:
    fed.given.feed_data(b"NOOP\r\nQUIT\nEH")
    assert fed.lines() == [Line(b"NOOP"), Line(b"QUIT", bare_lf=True)]
    fed.given.feed_data(b"LO\r\n")
    assert fed.lines() == [Line(b"EHLO")]


@given(
    texts=st.lists(
        st.binary(max_size=20).filter(lambda text: b"\n" not in text and b"\r" not in text), max_size=6
    ),
    cuts=st.lists(st.integers(0, 120), max_size=6),
)
def test_lines_are_the_same_wherever_blocks_end(texts: list[bytes], cuts: list[int]) -> None:
    fed = Fed()
    stream = b"".join(text + b"\r\n" for text in texts)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    found = []
    for start, end in pairwise(edges):
        fed.given.feed_data(stream[start:end])
        found += fed.lines()
    assert found == [Line(text) for text in texts]
    assert fed.budget.held == 0
    fed.loop.close()


def test_a_line_is_too_long_by_one_octet(fed: Fed) -> None:
    fed.given.feed_data(b"x" * (MAX_LINE - 2) + b"\r\n" + b"x" * (MAX_LINE - 1) + b"\r\nNOOP\r\n")
    assert fed.lines() == [Line(b"x" * (MAX_LINE - 2)), LineTooLong(b"x" * BEGINS), Line(b"NOOP")]


def test_an_endless_line_is_thrown_away_as_it_comes(fed: Fed) -> None:
    for _ in range(50):
        fed.given.feed_data(b"x" * 10_000)
        assert fed.lines() == []
        assert fed.given.held == 0
    fed.given.feed_data(b"\r\nNOOP\r\n")
    assert fed.lines() == [LineTooLong(b"x" * BEGINS), Line(b"NOOP")]


def test_reading_stops_above_the_mark_and_goes_on_below(fed: Fed) -> None:
    fed.given.feed_data(b"x" * (HIGH + 1))
    assert fed.socket.changes == ["stop"]
    fed.given.feed_data(b"y")  # what was under way already
    fed.given.consume(HIGH + 1 - SMALL)
    assert fed.socket.changes == ["stop"]
    fed.given.consume(1)
    assert fed.socket.changes == ["stop", "go"]


def test_above_the_budget_only_those_who_hold_much_stop() -> None:
    made = Fed(limit=100)
    made.budget.held = 1000  # others'
    made.given.feed_data(b"x" * SMALL)
    assert made.socket.changes == []
    made.given.feed_data(b"x")
    assert made.socket.changes == ["stop"]
    made.given.consume(1)
    assert made.socket.changes == ["stop", "go"]
    made.loop.close()


def test_what_a_lost_connection_left_is_forgotten(fed: Fed) -> None:
    fed.given.feed_data(b"MAIL FROM:<a@b>\r\n")
    fed.given.lose()
    assert fed.lines() == []
    assert fed.budget.held == 0


def test_whoever_waits_is_roused(run: Run) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        given = Input(Budget(100), loop)
        for happening in (lambda: given.feed_data(b"x"), given.feed_eof, given.rouse, given.lose):
            loop.call_soon(happening)
            async with asyncio.timeout(5):
                await given.wait()

    run(story())
