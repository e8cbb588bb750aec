"""Reads the dialogues of `tests/corpus`, and says whether what was answered is what they expect."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gatepost.documents import load_document
from gatepost.policy.analysis.circumstances import Circumstance
from gatepost.policy.analysis.rehearsal import Rehearsal
from gatepost.policy.dialogue.compiled import Endpoint, Policy, compile_policy
from gatepost.policy.dialogue.rules.auth import verifier
from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.bundle import RelayUser, Server, render
from gatepost.policy.model.document import FleetDocument

CORPUS = Path(__file__).parent.parent / "corpus"
FQDN = "mx1.contoso.com"
SECRET = "3f9c2d6a81b54e07"
USERS = (
    RelayUser(
        name="scanner", verifier=verifier(b"\0" * 16, SECRET.encode()), senders=("scanner@contoso.com",)
    ),
)


@dataclass
class Turn:
    """What the client sends at once, and what comes back: reply lines, the tarpit's seconds, whether it closes.

    happens: the dialogue's circumstance comes about before the client says it.
    """

    said: list[bytes] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    delay_s: float = 0.0
    closed: bool = False
    happens: bool = False


@dataclass
class Dialogue:
    """One file of the corpus."""

    name: str
    fleet: str
    remote: str
    local: str
    turns: list[Turn]
    when: Circumstance | None = None


def document(fleet: str) -> FleetDocument:
    return load_document((CORPUS / "fleets" / f"{fleet}.yaml").read_text())


def policy(fleet: str, *, now: float) -> Policy:
    """A fleet compiled for the corpus's one server."""
    bundle = render(document(fleet), Server("mx1"), USERS)
    return compile_policy(bundle, addresses={}, fqdn=FQDN, now=now)


def endpoint(text: str, port: int = 50000) -> Endpoint:
    address, _, given = text.partition(":")
    return Endpoint(parse_address(address), int(given or port))


def dialogues() -> Iterator[Dialogue]:
    for path in sorted(CORPUS.glob("*.txt")):
        yield _read(path)


def _read(path: Path) -> Dialogue:
    head, _, body = path.read_text().partition("\n\n")
    facts = dict(re.findall(r"^(\w+): (.*)$", head, re.MULTILINE))
    dialogue = Dialogue(
        path.stem, facts["fleet"], facts["remote"], facts.get("local", "127.0.0.1:25"), [Turn()]
    )
    dialogue.when = Circumstance(facts["when"]) if "when" in facts else None
    for line in body.splitlines():
        if line and not line.startswith("#"):
            _add(dialogue, line[0], line[1:])
    return dialogue


def _add(dialogue: Dialogue, kind: str, rest: str) -> None:
    turn = dialogue.turns[-1]
    if kind == "S":
        delay, _, text = rest.partition(" ")
        turn.delay_s += float(delay or 0)
        turn.closed = turn.closed or text == "closed"
        turn.expected += [] if text == "closed" else [text]
        return
    if turn.expected or turn.closed:
        turn = Turn()
        dialogue.turns.append(turn)
    text = rest.removeprefix(" ")
    if kind == "E":
        turn.happens = True
    elif kind == "X":
        repeated = re.sub(r"\{(.)\*(\d+)\}", lambda found: found[1] * int(found[2]), text)
        turn.said.append(repeated.encode().decode("unicode_escape").encode("latin-1"))
    else:
        turn.said.append(text.encode() + {"C": b"\r\n", "L": b"\n"}[kind])


def matches(expected: list[str], lines: list[str]) -> bool:
    """Whether reply lines are as expected; `*` stands for anything."""
    patterns = (re.escape(text).replace(r"\*", ".*") for text in expected)
    return len(expected) == len(lines) and all(map(re.fullmatch, patterns, lines))


class Answered(NamedTuple):
    """What came back on one turn: reply lines, seconds until the last of them, whether the session ended."""

    lines: list[str]
    delay_s: float
    closed: bool


def in_session(dialogue: Dialogue, *, now: float) -> Iterator[Answered]:
    """A dialogue through `Session` alone."""
    acted = Rehearsal(
        policy(dialogue.fleet, now=now),
        local=endpoint(dialogue.local),
        remote=endpoint(dialogue.remote),
        now=now,
    )
    for turn in dialogue.turns:
        yield _in_turn(acted, turn, dialogue.when)


def _in_turn(acted: Rehearsal, turn: Turn, when: Circumstance | None) -> Answered:
    before = len(acted.exchanges)
    if turn.happens and when:
        acted.happen(when)
    if turn.said:
        acted.send(b"".join(turn.said))
    elif not acted.exchanges:
        acted.connect()
    new = [exchange.decision for exchange in acted.exchanges[before:]]
    lines = [line for decision in new if decision.reply for line in decision.reply.text.split("\r\n")]
    return Answered(lines, sum(decision.delay_s for decision in new), acted.closed)
