"""The agent as a process, with a control plane that can fail in every way."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gatepost.policy.model.bundle import Bundle
from gatepost_agent.control.state_folder import StateFolder
from tests.agent.control.control_plane import ControlPlane, Trouble
from tests.agent.control.parts import bundle, connector
from tests.support.waiting import wait_until
from tests.system.agent_process import AgentProcess, Client

Port = Callable[[str], int]
SENDER, OUTSIDE = "chris@contoso.com", "kate@fabrikam.com"
FAULTY = ("-m", "tests.system.faulty_agent")


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


def relaying(port: int, *ranges: str) -> Bundle:
    """Everybody may come, these may relay; refusals come at once."""
    here, at_once = f"127.0.0.1:{port}", "00:00:00"
    everybody = connector("Default", ["0.0.0.0-255.255.255.255"], here, tarpit_interval=at_once)
    return bundle(everybody, connector("Relay", ranges, here, relays=True, tarpit_interval=at_once))


def is_settled(plane: ControlPlane, generation: int) -> bool:
    running = plane.last.running if plane.last else None
    return running is not None and running.generation == generation and running.settled


def serving(agent: AgentProcess, plane: ControlPlane, port: int, *options: str) -> int:
    """Start the agent, let one host relay, and wait until that is settled; returns the port."""
    agent.start(*options)
    plane.publish(relaying(port, "127.0.0.10"))
    wait_until(lambda: is_settled(plane, 1))
    return port


def said_to(port: int, client: str) -> str:
    """The last reply to a message from this client to an outside domain."""
    client_ = Client(port, client)
    try:
        return client_.send(SENDER, OUTSIDE) if client_.greeting.startswith("220") else client_.greeting
    finally:
        client_.close()


def test_from_enrolment_to_a_stop(agent: AgentProcess, plane: ControlPlane, free_port: Port) -> None:
    port = free_port("127.0.0.1")
    agent.start()
    assert agent.command("status").returncode == 2  # no config yet
    plane.publish(relaying(port, "127.0.0.10"))
    wait_until(lambda: is_settled(plane, 1))
    assert said_to(port, "127.0.0.10").startswith("250 2.6.0")
    assert said_to(port, "127.0.0.11").startswith("550 5.7.")
    listed = agent.command("queue", "list")
    assert OUTSIDE in listed.stdout, listed.stderr
    assert agent.stop() == 0, agent.log.read_text()
    assert plane.goodbyes == 1
    assert OUTSIDE in agent.command("queue", "list").stdout  # of the stopped agent
    agent.start()
    assert said_to(port, "127.0.0.10").startswith("250 2.6.0")


def test_mail_goes_on_whatever_the_control_plane_says(
    agent: AgentProcess, plane: ControlPlane, free_port: Port
) -> None:
    port = serving(agent, plane, free_port("127.0.0.1"))
    troubles: list[Trouble] = [(code, {"Retry-After": "0"}, b"") for code in (401, 403, 409, 410, 429, 500)]
    for trouble in [*troubles, (200, {}, b"<html>"), (200, {}, b"")]:
        plane.trouble = trouble
        plane.wake()
        asked = len(plane.asked)
        wait_until(lambda: len(plane.asked) > asked)  # noqa: B023 - evaluated here
        assert said_to(port, "127.0.0.10").startswith("250 2.6.0"), trouble
        assert said_to(port, "127.0.0.11").startswith("550"), trouble
    assert agent.command("status").returncode in (0, 1)
    agent.kill()
    agent.start()  # from disk, with a control plane that answers nonsense
    assert said_to(port, "127.0.0.10").startswith("250 2.6.0")


def test_a_queue_command_and_an_agent_that_starts_wait_for_each_other(
    agent: AgentProcess, plane: ControlPlane, free_port: Port
) -> None:
    port = serving(agent, plane, free_port("127.0.0.1"))
    assert said_to(port, "127.0.0.10").startswith("250 2.6.0")
    with ThreadPoolExecutor() as pool:
        for _ in range(3):  # at three moments of the start, whichever they are
            assert agent.stop() == 0
            starting = pool.submit(agent.start)
            listed = agent.command("queue", "list")
            assert listed.returncode == 0, listed.stderr
            assert OUTSIDE in listed.stdout
            starting.result()
        assert agent.stop() == 0
        with StateFolder.open(agent.state_dir).locked("queue list"):
            starting = pool.submit(agent.start)
            wait_until(lambda: "waiting: `gatepost-agent queue list`" in agent.log.read_text())
        starting.result()
    assert said_to(port, "127.0.0.10").startswith("250 2.6.0")


def test_a_second_agent_and_a_second_enrolment_change_nothing(
    agent: AgentProcess, plane: ControlPlane
) -> None:
    agent.start()
    second = agent.command("run")
    assert second.returncode == 1
    assert "already runs" in second.stderr
    uses = plane.token_uses
    again = agent.command("enroll", "--url", plane.url, "--token", plane.token, "--name", "mx1")
    assert again.returncode == 0
    assert "already enrolled" in again.stdout
    assert plane.token_uses == uses
    other = agent.command("enroll", "--url", plane.url, "--token", plane.token, "--name", "mx2")
    assert other.returncode == 1


def test_the_queue_of_a_running_agent_is_asked_for_over_its_socket(
    agent: AgentProcess, plane: ControlPlane, free_port: Port, tmp_path: Path
) -> None:
    port = serving(agent, plane, free_port("127.0.0.1"), "--hold-queue")
    assert said_to(port, "127.0.0.10").startswith("250")
    exported = tmp_path / "mail"
    assert agent.command("queue", "export", "--file", str(exported)).returncode == 0
    assert b"hello" in exported.read_bytes()
    assert OUTSIDE in agent.command("queue", "list", *map(str, range(1, 20_001))).stdout
    assert agent.command("queue", "delete", "--kept", "--all").stdout.split() == ["done", "0"]
    assert agent.command("queue", "delete", "--client", "127.0.0.10", "--dry-run").stdout.split()[:2] == [
        "would",
        "1",
    ]
    assert agent.command("queue", "delete", "--client", "127.0.0.10").stdout.split() == ["done", "1"]
    assert agent.command("queue", "list").stdout == ""
    assert agent.command("queue", "import", str(exported)).returncode == 0
    assert OUTSIDE in agent.command("queue", "list").stdout
    assert agent.command("queue", "check").returncode == 0


def test_a_denied_client_hears_421_at_once_and_after_a_restart(
    agent: AgentProcess, plane: ControlPlane, free_port: Port
) -> None:
    port = serving(agent, plane, free_port("127.0.0.1"))
    open_session = Client(port, "127.0.0.10")
    assert agent.command("deny", "127.0.0.10", "--reason", "floods").returncode == 0
    assert open_session.reply().startswith("421")
    open_session.close()
    assert not said_to(port, "127.0.0.10").startswith("250")
    assert "floods" in agent.command("status").stdout
    agent.kill()
    agent.start()
    assert not said_to(port, "127.0.0.10").startswith("250")
    assert agent.command("deny", "127.0.0.10", "--remove").returncode == 0
    assert said_to(port, "127.0.0.10").startswith("250")


def test_a_stop_lets_sessions_finish_and_tells_the_rest(
    agent: AgentProcess, plane: ControlPlane, free_port: Port
) -> None:
    port = serving(agent, plane, free_port("127.0.0.1"))
    idle, busy = Client(port, "127.0.0.10"), Client(port, "127.0.0.10")
    for line in ("EHLO x", f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{OUTSIDE}>", "DATA"):
        busy.say(line)
    assert agent.process is not None
    agent.process.send_signal(signal.SIGTERM)
    assert idle.reply().startswith("421")
    assert busy.say("Subject: x\r\n\r\nhello\r\n.").startswith("250")
    idle.close()
    busy.close()
    assert agent.process.wait(20) == 0
    assert OUTSIDE in agent.command("queue", "list").stdout


# Where the process ends -> the generation that runs after a restart, and how the attempt is told.
KILLS = {
    "staged": (1, "applied", ""),
    "config:synced": (1, "applied", ""),
    "trying:written": (1, "applied", ""),
    "trying:renamed": (1, "rolled_back", "crash"),
    "listening": (1, "rolled_back", "crash"),
    "swapped": (1, "rolled_back", "crash"),
    "settled:written": (1, "rolled_back", "crash"),
    "settled:renamed": (2, "applied", ""),
}


@pytest.mark.parametrize("point", [p for p in KILLS if p != "staged"])
def test_after_a_kill_at_any_step_one_config_runs_whole_and_says_why(
    agent: AgentProcess, plane: ControlPlane, free_port: Port, point: str
) -> None:
    old, new = free_port("127.0.0.1"), free_port("127.0.0.1")
    agent.start("2", program=(*FAULTY, point))
    plane.publish(relaying(old, "127.0.0.10", "127.0.0.11"))
    wait_until(lambda: is_settled(plane, 1))
    plane.publish(relaying(new, "127.0.0.10"))
    assert agent.process is not None
    assert agent.process.wait(20) == -signal.SIGKILL
    plane.trouble = (500, {}, b"")  # it starts alone
    agent.start()
    generation, outcome, phase = KILLS[point]
    status = agent.status()
    assert (status["running"]["generation"], status["running"]["settled"]) == (generation, True)
    assert (status["last_attempt"]["outcome"], status["last_attempt"]["phase"]) == (outcome, phase)
    port = old if generation == 1 else new
    assert status["listening"] == [f"127.0.0.1:{port}"]
    assert said_to(port, "127.0.0.10").startswith("250 2.6.0")
    if outcome == "rolled_back":  # what the failed config had removed stays removed
        assert said_to(port, "127.0.0.11").startswith("550")


def test_a_flood_from_a_removed_host_in_probation_and_a_kill_open_nothing(
    agent: AgentProcess, plane: ControlPlane, free_port: Port
) -> None:
    port = free_port("127.0.0.1")
    agent.start()
    plane.publish(relaying(port, "127.0.0.10", "127.0.0.11"))
    wait_until(lambda: is_settled(plane, 1))
    plane.publish(relaying(port, "127.0.0.10"), probation_s=600)
    wait_until(lambda: plane.last and plane.last.running and plane.last.running.generation == 2)
    assert all(said_to(port, "127.0.0.11").startswith("550") for _ in range(50))
    assert agent.status()["running"]["generation"] == 2  # refusals are no reason to go back
    agent.kill()
    agent.start()
    assert agent.status()["running"]["generation"] == 1
    assert all(said_to(port, "127.0.0.11").startswith("550") for _ in range(20))
    assert said_to(port, "127.0.0.10").startswith("250")
    plane.publish(relaying(port, "127.0.0.10", "127.0.0.11"))
    wait_until(lambda: is_settled(plane, 3))
    assert said_to(port, "127.0.0.11").startswith("250")


def test_listeners_close_when_asked_to_after_long_silence_only(
    tmp_path: Path, plane: ControlPlane, free_port: Port
) -> None:
    port = free_port("127.0.0.1")
    agent = AgentProcess(tmp_path / "state", stop_after_disconnected_s="2")
    agent.enroll(plane.url, plane.token)
    try:
        agent.start()
        plane.publish(relaying(port, "127.0.0.10"))
        wait_until(lambda: is_settled(plane, 1))
        plane.trouble = (500, {}, b"")
        plane.wake()
        wait_until(lambda: agent.status()["listening"] == [], 30)
        assert agent.command("status").returncode == 2
        agent.kill()
        agent.start()  # which does not make up for the silence
        assert agent.status()["listening"] == []
        assert agent.status()["control_plane"]["silent_s"] >= 2
        plane.trouble = None
        wait_until(lambda: agent.status()["listening"] == [f"127.0.0.1:{port}"], 30)
        assert said_to(port, "127.0.0.10").startswith("250")
    finally:
        agent.close()


def test_files_are_private_and_no_log_holds_a_token(
    agent: AgentProcess, plane: ControlPlane, free_port: Port
) -> None:
    port = serving(agent, plane, free_port("127.0.0.1"))
    said_to(port, "127.0.0.10")
    agent.stop()
    for path in agent.state_dir.rglob("*"):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o077 == 0, path
            assert path.stat().st_uid == os.geteuid()
    told = agent.log.read_text() + "".join(p.read_text() for p in (agent.state_dir / "log").rglob("*.jsonl*"))
    assert plane.agent_token not in told
    assert plane.token not in told
