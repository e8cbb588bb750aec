"""Every dialogue of the corpus three ways: `Session`, explain over HTTP, and TCP against a real agent.

Replies, codes and delays are the same. On the agent the tarpit of five seconds is one of one second, and dialogues
from different clients run side by side, so that nobody waits for minutes. What no client alone brings about really
happens to the agent: others are connected, it is stopped, its disk fails (`faulty_host.py`).
"""

import base64
import contextlib
import dataclasses
import socket
import ssl
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import trustme

from deploy.demo.stack import ROOT, Stack
from gatepost.client import ApiProblem
from gatepost.policy.analysis.circumstances import Circumstance
from gatepost.policy.model.document import FleetDocument
from tests.support.corpus import (
    FQDN,
    SECRET,
    Answered,
    Dialogue,
    Turn,
    dialogues,
    document,
    in_session,
    matches,
)
from tests.support.waiting import wait_until

ALL = {dialogue.name: dialogue for dialogue in dialogues()}
USER = "scanner"
NOW = 1_780_000_000.0
TARPIT_S, SHORT_TARPIT_S = 5, 1
LONGEST_LINE = 4096  # characters of a line of explain's question
MURMUR_S = 0.2
FAULTY = (sys.executable, "-m", "tests.system.faulty_host")
SLACK_S = 4.0  # less than a tarpit: a delay that nobody asked for shows

each = pytest.mark.parametrize("name", ALL)


def _told(dialogue: Dialogue, secret: str) -> Dialogue:
    """The dialogue with the secret that the control plane made for the relay user, as AUTH carries it."""
    swaps = [
        (base64.b64encode(before + SECRET.encode()), base64.b64encode(before + secret.encode()))
        for before in (b"", f"\0{USER}\0".encode())
    ]
    turns = []
    for turn in dialogue.turns:
        said = list(turn.said)
        for old, new in swaps:
            said = [piece.replace(old, new) for piece in said]
        turns.append(dataclasses.replace(turn, said=said))
    return dataclasses.replace(dialogue, turns=turns)


# --- the stack -------------------------------------------------------------------------------------------------


def _here(fleet: str, stack: Stack) -> FleetDocument:
    """A corpus fleet that listens and delivers on loopback only."""
    loaded = document(fleet)
    return loaded.model_copy(
        update={
            "connectors": tuple(
                connector.model_copy(update=_on(stack.port, connector.tarpit_interval))
                for connector in loaded.connectors
            ),
            "send_connectors": tuple(
                connector.model_copy(update={"smart_hosts": (f"127.0.0.1:{stack.smart_host_port}",)})
                for connector in loaded.send_connectors
            ),
        }
    )


def _on(port: int, tarpit: str) -> dict[str, Any]:
    short = {"tarpit_interval": f"00:00:0{SHORT_TARPIT_S}"} if tarpit == f"00:00:0{TARPIT_S}" else {}
    return {"bindings": (f"127.0.0.1:{port}",), **short}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One server that is called as the corpus says, with a certificate; nothing published yet."""
    folder, agent_runs = tmp_path_factory.mktemp("parity"), {"PYTHONPATH": str(ROOT)}
    with Stack(folder, addresses={"mx1": "127.0.0.1"}, agent=agent_runs) as running:
        running.start_control_plane()
        running.start_smart_host()
        agent = running.enroll("mx1")
        running.client.servers.change("mx1", fqdn=FQDN)
        _certificate(agent.state)
        running.start_agent("mx1", FAULTY)
        yield running


def _certificate(state: Any) -> None:
    folder = state / "config" / "certificates"
    folder.mkdir(mode=0o700, parents=True)
    file = folder / "relay.pem"
    file.touch(mode=0o600)
    file.write_bytes(trustme.CA().issue_cert(FQDN).private_key_and_cert_chain_pem.bytes())


@pytest.fixture(scope="module")
def answers(stack: Stack) -> dict[str, list[Answered] | Exception]:
    """What the agent and explain say, by the way and the dialogue's name: everything is asked once."""
    made = stack.client.connection.post("/v1/relay-users", {"name": USER, "senders": [f"{USER}@contoso.com"]})
    found: dict[str, list[Answered] | Exception] = {}
    by_fleet: dict[str, list[Dialogue]] = defaultdict(list)
    for dialogue in ALL.values():
        by_fleet[dialogue.fleet].append(_told(dialogue, made["secret"]))
    for fleet, members in by_fleet.items():
        stack.publish(_here(fleet, stack))
        found |= {f"http {one.name}": _caught(_over_http, stack, one) for one in members if _as_text(one)}
        by_client: dict[str, list[Dialogue]] = defaultdict(list)
        for dialogue in members:
            if dialogue.when is None:
                by_client[dialogue.remote].append(dialogue)
        with ThreadPoolExecutor(len(by_client)) as pool:
            for outcome in pool.map(lambda group: _over_tcp_in_turn(stack, group), by_client.values()):
                found |= outcome
        found |= _over_tcp_in_turn(stack, [one for one in members if one.when])
    return found


def _over_tcp_in_turn(stack: Stack, group: list[Dialogue]) -> dict[str, list[Answered] | Exception]:
    return {f"tcp {one.name}": _caught(_over_tcp, stack, one) for one in group}


def _caught(ask: Any, stack: Stack, dialogue: Dialogue) -> list[Answered] | Exception:
    try:
        answered: list[Answered] = ask(stack, dialogue)
    except (OSError, EOFError, ApiProblem) as error:
        return error
    return answered


# --- three ways to ask -----------------------------------------------------------------------------------------


def _over_http(stack: Stack, dialogue: Dialogue) -> list[Answered]:
    """Explain answers the whole dialogue; it is told apart again by how many lines each turn expects."""
    lines = _as_text(dialogue) or []
    found = stack.client.explain("mx1", dialogue.remote, lines=lines, when=dialogue.when)
    replies = [
        (text, step["delay_s"] if number == 0 else 0.0)
        for step in found["steps"]
        for number, text in enumerate(step["reply"].split("\r\n"))
    ]
    answered = []
    for turn in dialogue.turns:
        mine, replies = replies[: len(turn.expected)], replies[len(turn.expected) :]
        answered.append(Answered([text for text, _ in mine], sum(delay for _, delay in mine), closed=False))
    assert replies == []
    return answered


def _as_text(dialogue: Dialogue) -> list[str] | None:
    """The client's lines; None when they hold octets that no JSON text can, or a line longer than explain takes."""
    said = b"".join(piece for turn in dialogue.turns for piece in turn.said)
    try:
        lines = said.decode("utf-8").removesuffix("\r\n").split("\r\n")
    except UnicodeDecodeError:
        return None
    return lines if max(map(len, lines)) <= LONGEST_LINE else None


def _over_tcp(stack: Stack, dialogue: Dialogue) -> list[Answered]:
    with contextlib.ExitStack() as host:
        client = None
        answered = []
        for turn in dialogue.turns:
            if turn.happens and dialogue.when:
                _come_about(dialogue.when, host, stack, client or dialogue.remote)
            if client is None:
                client = host.enter_context(contextlib.closing(_Client(dialogue.remote, stack.port)))
            answered.append(client.turn(turn))
        return answered


def _come_about(
    when: Circumstance, host: contextlib.ExitStack, stack: Stack, client: "_Client | str"
) -> None:
    """Do it to the agent; the exit of `host` undoes it. client: the one of the dialogue, or its address before that."""
    match when:
        case Circumstance.CONNECTOR_FULL | Circumstance.SOURCE_FULL | Circumstance.SOURCE_TOO_OFTEN:
            other = host.enter_context(contextlib.closing(_Client(str(client), stack.port)))
            other.turn(Turn(expected=["220 *"]))
        case Circumstance.CONNECTOR_GONE:
            fleet = _here("settings", stack)
            left = tuple(one for one in fleet.connectors if one.name != "Taken away")
            stack.publish(fleet.model_copy(update={"connectors": left}))
            host.callback(stack.publish, fleet)
        case Circumstance.STOPPING:
            pool = host.enter_context(ThreadPoolExecutor())
            host.callback(_start_again, stack, pool.submit(stack.stop_program, "mx1"))
        case Circumstance.TOO_LONG if isinstance(client, _Client):
            host.enter_context(client.murmuring())
        case Circumstance.IDLE:
            pass  # it says no more
        case _:
            fault = stack.agents["mx1"].state / "fault"
            fault.write_text(when)
            host.callback(fault.unlink)
            if when is Circumstance.FAILURE and isinstance(client, _Client):
                client.say(b"NOOP\r\n")


def _start_again(stack: Stack, stopped: "Future[int]") -> None:
    assert stopped.result() == 0
    stack.start_agent("mx1", FAULTY)
    wait_until(lambda: _takes_clients(stack.port), 30, what="the agent listens again")


def _takes_clients(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 10):
        return True
    return False


class _Client:
    def __init__(self, source: str, port: int) -> None:
        self._began = time.monotonic()
        self._socket = socket.create_connection(("127.0.0.1", port), 60, source_address=(source, 0))
        self._file = self._socket.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def say(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    @contextlib.contextmanager
    def murmuring(self) -> Iterator[None]:
        """Never silent, and never a whole command."""
        enough = threading.Event()

        def murmur() -> None:
            with contextlib.suppress(OSError):  # closed, as it should be
                while not enough.wait(MURMUR_S):
                    self.say(b"x")

        murmurer = threading.Thread(target=murmur)
        murmurer.start()
        try:
            yield
        finally:
            enough.set()
            murmurer.join()

    def turn(self, turn: Turn) -> Answered:
        if turn.said:
            self._began = time.monotonic()
            self._socket.sendall(b"".join(turn.said))
        lines = [self._line() for _ in turn.expected]
        took = time.monotonic() - self._began
        if turn.said == [b"STARTTLS\r\n"] and lines[-1].startswith("220"):
            self._start_tls()
        return Answered(lines, took, closed=turn.closed and self._file.read() == b"")

    def _line(self) -> str:
        raw = self._file.readline()
        if not raw.endswith(b"\r\n"):
            raise EOFError(f"the agent closed after {raw!r}")
        return raw[:-2].decode()

    def _start_tls(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._file.close()
        self._socket = context.wrap_socket(self._socket)
        self._file = self._socket.makefile("rb")


# --- equal replies ---------------------------------------------------------------------------------------------


def _same(dialogue: Dialogue, answered: list[Answered] | Exception) -> list[Answered]:
    if isinstance(answered, Exception):
        raise answered
    for turn, got in zip(dialogue.turns, answered, strict=True):
        assert matches(turn.expected, got.lines), (turn.said, turn.expected, got.lines)
    return answered


@each
def test_the_session_says_so(name: str) -> None:
    dialogue = ALL[name]
    for turn, got in zip(dialogue.turns, _same(dialogue, list(in_session(dialogue, now=NOW))), strict=True):
        assert (got.delay_s, got.closed) == (turn.delay_s, turn.closed), turn.said


@each
def test_explain_says_so_over_http(name: str, answers: dict[str, list[Answered] | Exception]) -> None:
    dialogue = ALL[name]
    if _as_text(dialogue) is None:
        pytest.skip("octets or lines that a question to explain cannot hold")
    for turn, got in zip(dialogue.turns, _same(dialogue, answers[f"http {name}"]), strict=True):
        assert got.delay_s == _shortened(turn), turn.said


@each
def test_the_agent_does_so_over_tcp(name: str, answers: dict[str, list[Answered] | Exception]) -> None:
    dialogue = ALL[name]
    for turn, got in zip(dialogue.turns, _same(dialogue, answers[f"tcp {name}"]), strict=True):
        if not turn.happens:  # else it is the event that took its time
            assert _shortened(turn) - 0.01 <= got.delay_s < _shortened(turn) + SLACK_S, turn.said
        assert got.closed is turn.closed, turn.said


def _shortened(turn: Turn) -> float:
    """The turn's delay with the short tarpit; other delays (AUTH) are as they are written."""
    whole = turn.delay_s % TARPIT_S == 0
    return turn.delay_s * SHORT_TARPIT_S / TARPIT_S if whole else turn.delay_s
