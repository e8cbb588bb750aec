"""The table of replies: each has a dialogue that a mail operator can read, or a host's state that brings it about."""

import pytest

from gatepost.policy.dialogue import replies
from gatepost.policy.dialogue.replies import Reply
from tests.support.corpus import dialogues

# What no client alone can bring about: test_session.py and the agent's tests show these.
OF_THE_HOST = {
    "TOO_MANY_CONNECTIONS",
    "INSUFFICIENT_RESOURCES",
    "NOT_STORED",
    "IDLE_TIMEOUT",
    "SESSION_TIMEOUT",
    "NOT_AVAILABLE",
    "NOT_ACTIVE",
}
TABLE = {name: reply for name, reply in vars(replies).items() if isinstance(reply, Reply)}


def test_every_reply_is_given_in_a_dialogue_of_the_corpus() -> None:
    expected = {line for dialogue in dialogues() for turn in dialogue.turns for line in turn.expected}
    missing = {name for name, reply in TABLE.items() if not set(reply.text.split("\r\n")) <= expected}
    assert missing == OF_THE_HOST


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
