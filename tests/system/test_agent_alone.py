"""The agent as a process, with a control plane that can fail in every way."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.control.control_plane import ControlPlane
from tests.agent.control.parts import bundle, connector
from tests.support.waiting import wait_until
from tests.system.agent_process import AgentProcess, Client


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    plane = ControlPlane()
    yield plane
    plane.close()


@pytest.fixture
def agent(tmp_path: Path, plane: ControlPlane) -> Iterator[AgentProcess]:
    process = AgentProcess(tmp_path / "state")
    process.enroll(plane.url, plane.token)
    yield process
    process.close()


def test_from_enrolment_to_a_stop(
    agent: AgentProcess, plane: ControlPlane, free_port: Callable[[str], int]
) -> None:
    port = free_port("127.0.0.1")
    agent.start()
    assert agent.command("status").returncode == 2  # no config yet
    plane.publish(
        bundle(
            connector("Default", ["0.0.0.0-255.255.255.255"], f"127.0.0.1:{port}"),
            connector("Relay", ["127.0.0.10"], f"127.0.0.1:{port}", relays=True),
        )
    )
    wait_until(lambda: plane.last and plane.last.running and plane.last.running.settled)
    client = Client(port, "127.0.0.10")
    assert client.greeting.startswith("220 ")
    assert client.send("chris@contoso.com", "kate@fabrikam.com").startswith("250 2.6.0")
    client.close()
    other = Client(port, "127.0.0.11")
    assert other.send("chris@contoso.com", "kate@fabrikam.com").startswith("550 5.7.")
    other.close()
    listed = agent.command("queue", "list")
    assert "kate@fabrikam.com" in listed.stdout, listed.stderr
    assert agent.stop() == 0, agent.log.read_text()
    assert plane.goodbyes == 1
    assert "kate@fabrikam.com" in agent.command("queue", "list").stdout
