"""A real agent and a real control plane: what one says, the other shows; what goes wrong is told and undone."""

import itertools
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.demo.processes import BIN
from deploy.demo.stack import Stack
from tests.support.waiting import wait_until
from tests.system.agent_process import Client

LISTED, OTHER, STRANGER = "127.0.0.10", "127.0.0.11", "127.0.0.99"
SENDER, RECIPIENT = "chris@contoso.com", "kate@fabrikam.com"
_numbers = itertools.count()
RELAY = {"principal": r"NT AUTHORITY\ANONYMOUS LOGON", "rights": ["Ms-Exch-SMTP-Accept-Any-Recipient"]}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One server, for all tests here: each begins with a publish of its own."""
    with Stack(tmp_path_factory.mktemp("stack"), addresses={"mx1": "127.0.0.1"}) as stack:
        stack.up()
        yield stack


@pytest.fixture
def stack(running: Stack) -> Stack:
    running.publish(document(running, LISTED, OTHER))
    wait_until(lambda: state(running) == "settled", 20)
    return running


def document(stack: Stack, *relaying: str, **relay: Any) -> str:
    """Everybody may come, these may relay; refusals come at once."""
    here = {"bindings": [f"127.0.0.1:{stack.port}"], "tarpit_interval": "00:00:00"}
    everybody = {
        "name": "Default",
        "remote_ip_ranges": ["0.0.0.0-255.255.255.255"],
        "permission_groups": ["AnonymousUsers"],
    }
    listed = {"name": "Relay", "remote_ip_ranges": list(relaying), "permission_groups": ["AnonymousUsers"]}
    return json.dumps(
        {
            "accepted_domains": [{"domain": "contoso.com"}],
            "connectors": [everybody | here, listed | here | {"permissions": [RELAY]} | relay],
            "send_connectors": [
                {
                    "name": "Out",
                    "address_spaces": ["*"],
                    "smart_hosts": [f"127.0.0.1:{stack.smart_host_port}"],
                }
            ],
        }
    )


def say(stack: Stack, client: str) -> str:
    session = Client(stack.port, client)
    try:
        return session.send(SENDER, RECIPIENT) if session.greeting.startswith("220") else session.greeting
    finally:
        session.close()


def server(stack: Stack) -> dict[str, Any]:
    (shown,) = stack.client.servers.list()
    return dict(shown)


def state(stack: Stack) -> str:
    return str(server(stack)["assignment"]["state"])


def publish(stack: Stack, text: str) -> int:
    """Publish without waiting for anybody."""
    saved = stack.client.draft.replace(json.loads(text))
    return int(stack.client.revisions.publish(saved.etag)["number"])


def agent_command(stack: Stack, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [BIN / "gatepost-agent", *words, "--state-dir", stack.agents["mx1"].state],
        env=stack.agent_environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_right_that_was_taken_away_ends_at_the_next_mail(stack: Stack) -> None:
    session = Client(stack.port, OTHER)
    assert session.send(SENDER, RECIPIENT).startswith("250")
    stack.publish(document(stack, LISTED))
    assert session.say(f"MAIL FROM:<{SENDER}>").startswith("421")
    session.close()
    assert say(stack, OTHER).startswith("550")
    assert say(stack, LISTED).startswith("250")


def test_a_block_reaches_open_sessions_and_is_lifted_by_hand_only(stack: Stack) -> None:
    session = Client(stack.port, LISTED)
    stack.client.denied_set.block(LISTED, reason="floods")
    assert session.reply().startswith("421")
    session.close()
    wait_until(lambda: not say(stack, LISTED).startswith("250"))
    stack.publish(document(stack, LISTED))  # a publish lifts nothing
    assert not say(stack, LISTED).startswith("250")
    stack.client.denied_set.unblock(LISTED, reason="mended")
    wait_until(lambda: say(stack, LISTED).startswith("250"))


def test_a_rejection_is_shown_with_its_reason_and_a_retry_is_taken(stack: Stack) -> None:
    before = server(stack)["running"]["revision"]
    port = stack.port - 1 if stack.port > 20000 else stack.port + 1
    with socket.create_server(("127.0.0.1", port)):
        publish(stack, document(stack, LISTED, bindings=[f"127.0.0.1:{stack.port}", f"127.0.0.1:{port}"]))
        wait_until(lambda: state(stack) == "rejected", 20)
        shown = server(stack)
        assert shown["last_attempt"]["phase"] == "bind"
        assert str(port) in json.dumps(shown["last_attempt"]["errors"])
        assert shown["running"]["revision"] == before
        assert say(stack, OTHER).startswith("250")  # the old config goes on
        assert agent_command(stack, "status").returncode == 1
    stack.client.servers.act("mx1", "retry", reason="the port is free")
    wait_until(lambda: state(stack) in ("running", "settled"), 20)
    assert say(stack, OTHER).startswith("550")


def counted(stack: Stack) -> dict[str, int]:
    totals: dict[str, int] = stack.client.counts()["totals"]
    refused = sum(total for name, total in totals.items() if name.startswith("refused"))
    return {
        "accepted": totals.get("accepted", 0),
        "delivered": totals.get("delivered", 0),
        "refused": refused,
    }


def test_counts_are_exact_over_a_crash_of_either_side(stack: Stack) -> None:
    said = say(stack, LISTED)
    assert said.startswith("250")
    wait_until(lambda: any(said.split()[2] in message.content for message in stack.received()), 20)
    delivered = len(stack.received())
    wait_until(lambda: counted(stack)["delivered"] == delivered == counted(stack)["accepted"], 20)
    before = counted(stack)
    for _ in range(3):
        assert say(stack, LISTED).startswith("250")
        assert say(stack, STRANGER).startswith("550")
    stack.kill_program("control-plane")
    assert say(stack, LISTED).startswith("250")
    stack.wait_for_mail(delivered + 4)
    stack.kill_program("mx1")
    stack.start_agent("mx1")
    wait_until(lambda: agent_command(stack, "status").returncode < 3, 20)
    assert say(stack, LISTED).startswith("250")
    stack.wait_for_mail(delivered + 5)
    stack.start_control_plane()
    wait_until(lambda: counted(stack)["delivered"] == before["delivered"] + 5, 40)
    assert counted(stack)["accepted"] == before["accepted"] + 5
    wait_until(lambda: counted(stack)["refused"] == before["refused"] + 3, 20)


def test_a_restored_control_plane_offers_nothing_until_somebody_chooses(stack: Stack) -> None:
    stack.stop_program("control-plane")
    backup = stack.folder / "backup.db"
    shutil.copy(stack.folder / "gatepost.db", backup)
    stack.start_control_plane()
    stack.publish(document(stack, LISTED))
    wait_until(lambda: state(stack) == "settled", 20)
    stack.stop_program("control-plane")
    for path in stack.folder.glob("gatepost.db*"):
        path.unlink()
    shutil.copy(backup, stack.folder / "gatepost.db")
    stack.start_control_plane()
    wait_until(lambda: state(stack) == "held", 30)
    assert say(stack, LISTED).startswith("250")
    assert say(stack, OTHER).startswith("550")  # what runs, runs on
    stack.client.servers.act("mx1", "overwrite", reason="the backup is right")
    wait_until(lambda: state(stack) in ("running", "settled"), 30)
    wait_until(lambda: say(stack, OTHER).startswith("250"))


def test_trace_tells_what_became_of_a_scan(stack: Stack) -> None:
    reply = say(stack, LISTED)
    queue_id = reply.partition("InternalId=")[2].partition("]")[0].partition(",")[0]
    say(stack, STRANGER)
    stack.wait_for_mail(1)
    wait_until(lambda: "delivery_attempt" in agent_command(stack, "trace", "--id", queue_id).stdout, 20)
    told = agent_command(stack, "trace", "--id", queue_id).stdout
    assert "smtp_accepted" in told
    assert "result=done" in told
    refused = agent_command(stack, "trace", "--client", STRANGER, "--to", RECIPIENT).stdout
    assert "smtp_refused" in refused
    assert "550 5.7.1" in refused
    assert agent_command(stack, "trace", "--from", SENDER, "--client", STRANGER).returncode == 0


def test_the_protocol_log_names_the_server_as_it_was_enrolled(stack: Stack) -> None:
    stack.publish(document(stack, LISTED, protocol_logging_level="Verbose"))
    assert say(stack, LISTED).startswith("250")
    folder = stack.agents["mx1"].state / "log" / "smtp"

    def rows() -> list[str]:
        return [row for path in folder.glob("*") for row in path.read_text().splitlines() if row[0] != "#"]

    wait_until(rows, 20, what="the log is written")
    assert {row.split(",")[1] for row in rows()} == {r"mx1\Relay"}


def test_the_agent_follows_to_another_address_and_trusts_what_an_operator_vouches_for(stack: Stack) -> None:
    assert agent_command(stack, "set-url", "http://10.0.0.1").returncode == 64
    elsewhere = stack.url.replace("127.0.0.1", "localhost")
    assert agent_command(stack, "set-url", elsewhere).returncode == 0
    assert elsewhere in agent_command(stack, "status").stdout
    stack.publish(document(stack, LISTED))
    assert agent_command(stack, "trust", "sha256:xyz").returncode == 64
    assert agent_command(stack, "trust", "ab" * 32).returncode == 0
    clock = agent_command(stack, "clock", "--reset", "--output", "json")
    assert json.loads(clock.stdout)["trouble"] == ""
