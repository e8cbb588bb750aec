"""Configs come and go under load: no connection is reset, no message that was answered 250 is missing."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gatepost.policy.model.bundle import Bundle
from tests.agent.control.control_plane import ControlPlane
from tests.agent.control.parts import bundle, connector
from tests.support.waiting import wait_until
from tests.system.agent_process import AgentProcess, Client

CLIENTS, SWAPS = 8, 60


class Ledger:
    """What clients were told."""

    def __init__(self) -> None:
        self.accepted = 0
        self.troubles: list[str] = []
        self.lock = threading.Lock()
        self.is_over = threading.Event()

    def run(self, port: int, source: str) -> None:
        while not self.is_over.is_set():
            try:
                client = Client(port, source)
                reply = client.send("scanner@contoso.com", "kate@fabrikam.com")
                if not reply.startswith("250"):
                    raise AssertionError(f"{client.greeting!r} {reply!r}")
                client.close()
            except (OSError, AssertionError) as error:
                with self.lock:
                    self.troubles.append(f"{source}: {error!r}")
            else:
                with self.lock:
                    self.accepted += 1


@contextmanager
def load(port: int) -> Iterator[Ledger]:
    """Clients that send one message after another, each on a connection of its own."""
    ledger = Ledger()
    threads = [
        threading.Thread(target=ledger.run, args=(port, f"127.0.0.{10 + number}"))
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield ledger
    finally:
        ledger.is_over.set()
        for thread in threads:
            thread.join()


def _shapes(port: int, other: int) -> Iterator[Bundle]:
    """The bindings an operator may go through; the clients' own door is always among them."""
    clients = ["127.0.0.10-127.0.0.17"]
    wide = {
        "max_inbound_connection_per_source": "unlimited",
        "max_inbound_connection_percentage_per_source": 100,
    }
    shapes = [
        [f"127.0.0.1:{port}"],
        [f"0.0.0.0:{port}"],
        [f"0.0.0.0:{port}", f"127.0.0.1:{port}"],
        [f"127.0.0.1:{port}", f"127.0.0.1:{other}"],
        [f"127.0.0.1:{port}", f"[::1]:{other}"],
    ]
    for number, bindings in enumerate(itertools.cycle(shapes)):
        door = connector("Relay", [*clients, f"10.0.0.{number % 200}"], *bindings, relays=True, **wide)
        yield bundle(door)


def test_swaps_under_load_reset_nobody_and_lose_nothing(
    tmp_path: Path, free_port: Callable[[str], int]
) -> None:
    plane = ControlPlane()
    agent = AgentProcess(tmp_path / "state")
    port = free_port("127.0.0.1")
    configs = _shapes(port, free_port("127.0.0.1"))
    try:
        agent.enroll(plane.url, plane.token)
        agent.start("--hold-queue")
        generation = plane.publish(next(configs))
        wait_until(lambda: _runs(plane, generation))
        with load(port) as ledger:
            for _ in range(SWAPS):
                number = plane.publish(next(configs), probation_s=600)
                wait_until(lambda: _runs(plane, number), 20)  # noqa: B023 - waited for here
        assert ledger.troubles == []
        assert ledger.accepted > SWAPS
        assert agent.status()["queue"]["messages"] == ledger.accepted
        assert agent.stop() == 0
    finally:
        agent.close()
        plane.close()


def _runs(plane: ControlPlane, generation: int) -> bool:
    last = plane.last
    attempt = last.last_attempt if last else None
    if attempt is not None and attempt.generation == generation:
        assert attempt.outcome in ("applied", "applying"), attempt
    return last is not None and last.running is not None and last.running.generation == generation
