"""A real agent on a queue that another release has left: it goes on with it, or says what to do and touches nothing."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from gatepost.policy.model.send_connector import SendConnector
from tests.agent.control.control_plane import ControlPlane
from tests.agent.control.parts import bundle, connector
from tests.agent.spool.test_schema import written_by_format_1
from tests.support.load import NextHops
from tests.support.smart_host import SmartHost
from tests.support.waiting import wait_until
from tests.system.agent_process import AgentProcess


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    plane = ControlPlane()
    yield plane
    plane.close()


@pytest.fixture
def agent(tmp_path: Path, plane: ControlPlane) -> Iterator[AgentProcess]:
    """Enrolled, with the queue of format 1."""
    process = AgentProcess(tmp_path / "state")
    process.enroll(plane.url, plane.token)
    spool = process.state_dir / "spool"
    spool.mkdir(mode=0o700)
    written_by_format_1(spool, time.time())
    for path in (spool, *spool.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    yield process
    process.close()


def test_mail_that_an_older_release_had_accepted_is_delivered(
    agent: AgentProcess, plane: ControlPlane, free_port: Callable[[str], int]
) -> None:
    before = agent.command("queue", "list")
    assert before.returncode == 0, before.stderr
    assert "bob@litware.com" in before.stdout
    host = SmartHost()
    hops = NextHops({"all": host})
    try:
        door = connector("Anonymous Relay", ["127.0.0.10"], f"127.0.0.1:{free_port('127.0.0.1')}")
        send = SendConnector(name="All", address_spaces=("*",), smart_hosts=(f"127.0.0.1:{host.port}",))
        plane.publish(bundle(door, send_connectors=(send,)))
        agent.start()
        agent.command("queue", "retry", "--all")
        wait_until(lambda: len(host.messages) >= 5, 20, what="all that was not held has left")
        assert sorted(to for message in host.messages for to in message.recipients) == [
            "bob@litware.com",
            "eve@example.net",
            *["kate@fabrikam.com"] * 4,
        ]
        wait_until(lambda: agent.status()["queue"]["messages"] == 0)
        assert agent.status()["queue"]["held"] == 1
    finally:
        hops.close()


def test_a_queue_of_a_release_that_this_one_cannot_follow_is_refused_and_left_alone(
    agent: AgentProcess,
) -> None:
    database = agent.state_dir / "spool" / "spool.db"
    connection = apsw.Connection(str(database))
    connection.pragma("user_version", 3)
    connection.execute("UPDATE facts SET value = 2 WHERE name = 'runs_with'")
    connection.close()
    before = database.read_bytes()
    for words in (("run",), ("queue", "list"), ("queue", "delete", "--all")):
        refused = agent.command(*words)
        assert refused.returncode == 1, words
        assert "written in format 3" in refused.stderr
        assert "install the newer release again" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert database.read_bytes() == before
    assert (agent.state_dir / "spool" / "bodies" / "6").exists()
