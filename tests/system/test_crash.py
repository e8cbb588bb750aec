"""The relay under load is ended by SIGKILL again and again; every message that was answered 250 arrives.

The clients' ledger is compared with what the next hops took. A message may come twice only when it was handed over by
one life of the agent, which died before that was on disk, and again by a later one (design rule 3): the test tells
the lives apart, counts those, and takes no others.
"""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo.processes import free_port
from gatepost.policy.model.bundle import Bundle
from gatepost.policy.model.send_connector import SendConnector
from gatepost_agent.local.client import ask
from gatepost_agent.spool.faults import POINTS
from gatepost_agent.spool.spool import Spool
from tests.agent.control.control_plane import ControlPlane
from tests.agent.control.parts import bundle, connector
from tests.support.load import Ledger, NextHops, senders
from tests.support.smart_host import Act, Script, SmartHost
from tests.support.waiting import wait_until
from tests.system.agent_process import AgentProcess, Client

PROGRAM = ("-m", "tests.system.crashing_agent")
CONTROL_POINTS = ("prepared", "config:synced", "trying:renamed", "swapped", "settled:renamed")
IN_FLIGHT = 600  # messages that delivery may have under way at one time
STEPS = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY", "END", "QUIT")
MISDEEDS: dict[str, Script] = {
    "hang": Act.HANG,
    "reset": Act.RESET,
    "close": Act.CLOSE,
    "later": "451 4.3.0 not now",
    "never": "554 5.7.1 never",
}


class Relay:
    """An agent with a control plane on one side and next hops on the other; lives are counted from 0."""

    def __init__(self, folder: Path, hosts: dict[str, SmartHost]) -> None:
        self.plane = ControlPlane()
        self.agent = AgentProcess(folder / "state")
        self.hops = NextHops(hosts)
        self.ledger = Ledger()
        self.port = free_port("127.0.0.1")
        self.lives: list[dict[str, int]] = []  # by host, how many messages it had got when a life ended
        self._published = 0
        self.agent.enroll(self.plane.url, self.plane.token)

    def config(self) -> Bundle:
        """A new config each time: the same door, and one range more or less that nobody uses."""
        self._published += 1
        ranges = ["127.0.0.10-127.0.0.30", f"10.0.0.{self._published}"]
        door = connector("Relay", ranges, f"127.0.0.1:{self.port}", relays=True, tarpit_interval="00:00:00")
        sends = tuple(
            SendConnector(
                name=name,
                address_spaces=(f"SMTP:{name}.example",),
                smart_hosts=(f"127.0.0.1:{host.port}",),
                tls_policy="none",
            )
            for name, host in self.hops.hosts.items()
        )
        return bundle(door, send_connectors=sends)

    @property
    def recipients(self) -> list[str]:
        return [f"kate@{name}.example" for name in self.hops.hosts]

    def start(self, point: str = "never", times: int = 1) -> None:
        self.agent.start(point, str(times), program=PROGRAM)

    def publish(self) -> None:
        """Publish, and wait until it runs and is settled."""
        number = self.plane.publish(self.config())
        wait_until(lambda: self._is_settled(number), 20, what=f"generation {number} is settled")

    def _is_settled(self, number: int) -> bool:
        running = self.plane.last.running if self.plane.last else None
        return running is not None and running.generation == number and running.settled

    def has_died(self) -> None:
        """Wait until it was killed, and until the next hops have read all that it had written."""
        process = self.agent.process
        assert process is not None
        assert process.wait(20) == -signal.SIGKILL
        wait_until(lambda: not self.hops.open, 20, what="the next hops have come to the end of it")
        self.lives.append({name: len(host.messages) for name, host in self.hops.hosts.items()})

    def kill(self) -> None:
        self.agent.kill()
        self.has_died()

    def queued(self) -> int:
        return int(self.agent.status()["queue"]["messages"])

    def retry(self) -> None:
        """Ask for everything to be tried now, what was given up too."""
        list(ask(self.agent.state_dir, "queue retry", {"all": True}))

    def drain(self) -> None:
        """Until nothing is left."""
        wait_until(lambda: not self.queued(), 30, what="the queue is empty")

    def left(self) -> tuple[dict[str, int], list[str]]:
        """Once it has stopped: the spool's totals over all its lives, and what an examination finds."""

        async def look() -> tuple[dict[str, int], list[str]]:
            spool = await Spool.open(self.agent.state_dir / "spool")
            try:
                return {event: n for (_, event), n in spool.counts().totals.items()}, await spool.check()
            finally:
                await spool.close()

        return asyncio.run(look())

    def duplicates(self) -> list[tuple[str, list[int]]]:
        """Messages that came more than once, and the lives that sent them."""
        found = []
        for name, tokens in self.hops.tokens().items():
            lives: dict[str, list[int]] = {}
            for place, token in enumerate(tokens):
                lives.setdefault(token, []).append(sum(place >= life[name] for life in self.lives))
            found += [(token, sent_by) for token, sent_by in lives.items() if len(sent_by) > 1]
        return found

    def assert_the_ledger_is_kept(self) -> None:
        """Every 250 arrived; what came twice was sent by two lives of the agent."""
        arrived = {token for tokens in self.hops.tokens().values() for token in tokens}
        duplicates = self.duplicates()
        print(  # noqa: T201 - figures for `pytest -s`
            f"{len(self.lives)} kills, {len(self.ledger.answered)} answered 250, {len(arrived)} arrived, "
            f"{len(duplicates)} twice; {self.ledger.cut} connections cut, refused {dict(self.ledger.refused)}"
        )
        assert self.ledger.answered - arrived == set()
        assert len(self.ledger.answered) > 20 * len(self.lives)
        for token, sent_by in duplicates:
            assert len(sent_by) == len(set(sent_by)), f"{token} was sent twice by one agent: {sent_by}"
        for life, number in Counter(life for _, sent_by in duplicates for life in sent_by[:-1]).items():
            assert number <= IN_FLIGHT, f"life {life} had more in doubt than it may have under way"

    def close(self) -> None:
        self.agent.close()
        self.hops.close()
        self.plane.close()


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    """With one next hop that takes everything."""
    made = Relay(tmp_path, {"good": SmartHost()})
    yield made
    made.close()


def test_killed_under_load_at_every_fault_point_and_at_random_times(relay: Relay) -> None:
    luck = random.Random(20)
    relay.start()
    relay.publish()
    with senders(relay.ledger, relay.port, relay.recipients, kept_open=3, one_each=1):
        relay.kill()
        for point in POINTS:
            relay.start(point, luck.randint(1, 30) if point.startswith("group") else 1)
            if point == "checkpoint-done":  # passed at rest, and at the end
                wait_until(lambda: len(relay.ledger.answered) % 7 == 0)
                assert relay.agent.process is not None
                relay.agent.process.terminate()
            relay.has_died()
        for point in CONTROL_POINTS:
            relay.start(point)
            relay.plane.publish(relay.config())
            relay.has_died()
        for _ in range(3):
            relay.start()
            more = len(relay.ledger.answered) + luck.randint(1, 150)
            wait_until(lambda: len(relay.ledger.answered) >= more, 20)  # noqa: B023 - waited for here
            relay.kill()
        relay.start()
        more = len(relay.ledger.answered) + 50
        wait_until(lambda: len(relay.ledger.answered) >= more, 20)
    relay.drain()
    relay.assert_the_ledger_is_kept()
    assert relay.agent.stop() == 0
    # Exact over all those lives: each committed message was counted once, and each arrived.
    totals, problems = relay.left()
    assert problems == []
    assert totals["accepted"] == totals["delivered"] == len(set(relay.hops.tokens()["good"]))


def test_new_configs_and_a_stop_under_load_lose_nothing_and_nothing_comes_twice(relay: Relay) -> None:
    relay.start()
    relay.publish()
    idle = [Client(relay.port, f"127.0.0.{20 + number}") for number in range(5)]
    with senders(relay.ledger, relay.port, relay.recipients, kept_open=3, one_each=1) as clients:
        for _ in range(20):
            more = len(relay.ledger.answered) + 2
            relay.publish()
            wait_until(lambda: len(relay.ledger.answered) >= more, 20)  # noqa: B023 - waited for here
        assert (relay.ledger.cut, sum(relay.ledger.refused.values())) == (0, 0)
        assert relay.agent.process is not None
        relay.agent.process.terminate()
        for session in idle:
            assert session.reply().startswith("421 4.3.2")
            session.close()
        assert relay.agent.process.wait(20) == 0, relay.agent.log.read_text()
        for client in clients:
            client.stopping.set()
    assert relay.ledger.refused.keys() <= {"421 4.3.2"}
    assert relay.ledger.cut == 0, "a session was cut instead of told"
    relay.start()  # what was not delivered any more
    relay.drain()
    relay.assert_the_ledger_is_kept()
    assert relay.duplicates() == []
    assert relay.agent.stop() == 0
    totals, problems = relay.left()
    assert problems == []
    assert totals["accepted"] == totals["delivered"] == len(relay.ledger.answered)


def test_next_hops_that_misbehave_at_every_step_lose_nothing(tmp_path: Path) -> None:
    hosts = {
        f"{misdeed}-{step.lower()}": SmartHost(answers={step: script})
        for step in STEPS
        for misdeed, script in MISDEEDS.items()
    }
    relay = Relay(tmp_path, {"good": SmartHost(), **hosts})
    try:
        relay.start()
        relay.publish()
        with senders(relay.ledger, relay.port, relay.recipients, kept_open=3, one_each=1):
            for _ in range(2):
                more = len(relay.ledger.answered) + 300
                wait_until(lambda: len(relay.ledger.answered) >= more, 30)  # noqa: B023 - waited for here
                good = len(relay.hops.hosts["good"].messages)
                wait_until(lambda: len(relay.hops.hosts["good"].messages) > good, 10)  # noqa: B023
                relay.kill()
                relay.start()
        assert relay.queued() > 0
        relay.hops.heal()
        relay.kill()  # those that hang let go
        relay.start()
        relay.retry()
        relay.drain()
        relay.assert_the_ledger_is_kept()
    finally:
        relay.close()
