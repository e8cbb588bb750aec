"""Every dialogue of the corpus, through `Session` alone."""

import pytest

from gatepost.policy.analysis.circumstances import Circumstance
from gatepost.policy.analysis.rehearsal import Rehearsal
from tests.support.corpus import Dialogue, Turn, dialogues, endpoint, matches, policy

_NOW = 1_780_000_000.0


def _answers(rehearsal: Rehearsal, turn: Turn, when: Circumstance | None) -> tuple[list[str], float]:
    before = len(rehearsal.exchanges)
    if turn.happens and when:
        rehearsal.happen(when)
    if turn.said:
        rehearsal.send(b"".join(turn.said))
    elif not rehearsal.exchanges:
        rehearsal.connect()
    new = [exchange.decision for exchange in rehearsal.exchanges[before:]]
    lines = [line for decision in new if decision.reply for line in decision.reply.text.split("\r\n")]
    return lines, sum(decision.delay_s for decision in new)


@pytest.mark.parametrize("dialogue", list(dialogues()), ids=lambda dialogue: dialogue.name)
def test_the_session_answers_as_the_corpus_says(dialogue: Dialogue) -> None:
    rehearsal = Rehearsal(
        policy(dialogue.fleet, now=_NOW),
        local=endpoint(dialogue.local),
        remote=endpoint(dialogue.remote),
        now=_NOW,
    )
    for turn in dialogue.turns:
        lines, delay = _answers(rehearsal, turn, dialogue.when)
        assert matches(turn.expected, lines), (turn.said, lines)
        assert delay == turn.delay_s, turn.said
        assert rehearsal.closed is turn.closed, turn.said
