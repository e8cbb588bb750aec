"""The table of replies: each has a dialogue that a mail operator can read."""

import pytest

from gatepost.policy.dialogue import replies
from gatepost.policy.dialogue.replies import Reply
from tests.support.corpus import dialogues, matches

TABLE = {name: reply for name, reply in vars(replies).items() if isinstance(reply, Reply)}
MADE = (
    replies.chunk_received(19),
    replies.queued("<x@y>", 0, "mx1.contoso.com"),
    replies.too_many_from_source("mx1.contoso.com"),
    replies.local_error("00000000"),
)


def test_every_reply_is_given_in_a_dialogue_of_the_corpus() -> None:
    """Word for word; those that are made for the occasion up to what varies."""
    expected = {line for dialogue in dialogues() for turn in dialogue.turns for line in turn.expected}
    missing = {name for name, reply in TABLE.items() if not set(reply.text.split("\r\n")) <= expected}
    assert missing == set()
    told = [line for line in expected if len(line) > len("250 2.6.0 *")]
    assert [made for made in MADE if not any(matches([line], [made.text]) for line in told)] == []


@pytest.mark.parametrize("name", TABLE)
def test_a_reply_has_the_enhanced_code_of_its_class(name: str) -> None:
    reply = TABLE[name]
    # Exchange answers 451 5.7.3 where TLS is missing: a device that learns STARTTLS may come again.
    assert reply.enhanced[:1] in {"", str(reply.code)[:1]} or name == "TLS_REQUIRED"
    assert all(line.isascii() and line.isprintable() for line in reply.lines)
    assert len(reply.wire) <= 512  # RFC 5321 4.5.3.1.5


def test_a_refusal_is_counted_by_its_text_unless_that_varies() -> None:
    assert replies.UNABLE_TO_RELAY.kind == "550 5.7.1 Unable to relay"
    assert replies.SEND_AS_REFUSED.kind != replies.ANONYMOUS_SEND_AS_REFUSED.kind
    assert replies.too_many_from_source("mx1").kind == replies.too_many_from_source("mx2").kind == "421 4.3.2"
    assert replies.local_error("1").kind == replies.local_error("2").kind == "421 4.3.0"
