"""Messages survive their way through rows and lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.dialogue.decision import Envelope
from gatepost_agent.spool.codec import COLUMNS, from_line, from_row, to_line, to_row
from gatepost_agent.spool.errors import Unreadable
from gatepost_agent.spool.messages import Kind, QueuedMessage, RecipientState, RecipientStatus, Standing
from tests.agent.spool.samples import envelope

TEXT = st.text(max_size=20)
TIME = st.floats(0, 4e9)
STATES = st.builds(
    RecipientState, TEXT, st.sampled_from(RecipientStatus), TEXT, TEXT, attempts=st.integers(0, 99)
)


@st.composite
def messages(draw: st.DrawFn) -> QueuedMessage:
    states = tuple(draw(st.lists(STATES, max_size=3)))
    return QueuedMessage(
        id=draw(st.integers(1, 2**62)),
        message_id=draw(TEXT),
        envelope=Envelope(
            connector=draw(TEXT),
            principal=draw(TEXT),
            client=draw(TEXT),
            helo=draw(TEXT),
            mail_from=draw(TEXT),
            recipients=tuple(state.address for state in states),
            eight_bit=draw(st.booleans()),
            smtp_utf8=draw(st.booleans()),
            bounce_to=draw(st.none() | TEXT),
        ),
        recipients=states,
        size=draw(st.integers(0, 2**40)),
        received_at=draw(TIME),
        next_attempt=draw(TIME),
        expires_at=draw(TIME),
        attempts=draw(st.integers(0, 99)),
        held=draw(st.booleans()),
        kind=draw(st.sampled_from(Kind)),
        standing=draw(st.sampled_from(Standing)),
        keep_until=draw(st.none() | TIME),
        origin=draw(st.none() | TEXT),
        crc32=draw(st.integers(0, 2**32 - 1)),
        body_at=draw(st.none() | st.integers(1, 10_000)),
    )


@given(messages())
def test_a_message_is_the_same_after_a_row_and_after_a_line(message: QueuedMessage) -> None:
    assert from_row(to_row(message)) == message
    line = to_line(message)
    assert from_line(line) == message
    assert line.count(b"\n") == 1
    assert line.isascii()


def test_lone_surrogates_of_a_reply_do_no_harm() -> None:
    state = RecipientState("kate@fabrikam.com", last_reply=b"550 \xff".decode("ascii", "surrogateescape"))
    message = QueuedMessage(1, "<1@x>", envelope(), (state,), 1, 1.0, 1.0, 1.0)
    assert all(str(value).encode() for value in to_row(message))
    assert from_row(to_row(message)) == message


@pytest.mark.parametrize("column", COLUMNS)
def test_nonsense_in_any_column_is_told_as_such(column: str) -> None:
    row = dict(zip(COLUMNS, to_row(QueuedMessage(1, "<1@x>", envelope(), (), 1, 1.0, 1.0, 1.0)), strict=True))
    if column in ("standing", "recipients", "about"):
        with pytest.raises(Unreadable, match="row 1 "):
            from_row(tuple({**row, column: "nonsense"}.values()))
    del row[column]
    with pytest.raises(Unreadable):
        from_row(tuple(row.values()))
