"""Every dialogue of the corpus, through `Session` alone."""

import pytest

from tests.support.corpus import Dialogue, dialogues, in_session, matches

_NOW = 1_780_000_000.0


@pytest.mark.parametrize("dialogue", list(dialogues()), ids=lambda dialogue: dialogue.name)
def test_the_session_answers_as_the_corpus_says(dialogue: Dialogue) -> None:
    for turn, got in zip(dialogue.turns, in_session(dialogue, now=_NOW), strict=True):
        assert matches(turn.expected, got.lines), (turn.said, got.lines)
        assert got.delay_s == turn.delay_s, turn.said
        assert got.closed is turn.closed, turn.said
