"""One message from end to end through real processes: published, relayed, kept over a crash, delivered, counted."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo.processes import BIN, run
from deploy.demo.stack import Stack
from deploy.demo.telnet import Telnet
from gatepost.client import ApiProblem
from gatepost.documents import parse_text
from tests.support.waiting import wait_until

LISTED, STRANGER = "127.0.0.10", "127.0.0.99"
SENDER, RECIPIENT = "chris@contoso.com", "kate@fabrikam.com"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """One server that runs the article."""
    with Stack(tmp_path, addresses={"mx1": "127.0.0.1"}) as running:
        running.up()
        running.publish(_for_one_server(running))
        yield running


def _for_one_server(stack: Stack) -> str:
    document = parse_text(stack.example_text())
    return json.dumps(document | {"tests": [test for test in document["tests"] if test["server"] == "mx1"]})


def _send(stack: Stack, subject: str) -> str:
    """Send one message from the listed host -> the reply to the final dot."""
    agent = stack.agents["mx1"]
    with Telnet(LISTED, agent.address, agent.port) as session:
        session.say("EHLO printer")
        session.say(f"MAIL FROM:<{SENDER}>")
        assert session.say(f"RCPT TO:<{RECIPIENT}>") == "250 2.1.5 Recipient OK"
        session.say("DATA")
        return session.say(f"Subject: {subject}", "", "This is a test message", ".")


def _subjects(stack: Stack) -> list[str]:
    lines = [line for message in stack.received() for line in message.content.splitlines()]
    return sorted(line.removeprefix("Subject: ") for line in lines if line.startswith("Subject: "))


def _totals(stack: Stack) -> dict[str, int]:
    totals: dict[str, int] = stack.client.counts()["totals"]
    return totals


def test_a_listed_host_relays_and_another_does_not(stack: Stack) -> None:
    assert _send(stack, "one").startswith("250 2.6.0 <")
    (message,) = stack.wait_for_mail(1)
    assert (message.sender, message.recipients) == (SENDER, (RECIPIENT,))

    agent = stack.agents["mx1"]
    with Telnet(STRANGER, agent.address, agent.port) as session:
        session.say("EHLO stranger")
        session.say(f"MAIL FROM:<{SENDER}>")
        assert session.say(f"RCPT TO:<{RECIPIENT}>") == "550 5.7.1 Unable to relay"

    wait_until(lambda: _totals(stack).get("delivered") == 1, 20, what="the delivery is counted")
    assert _totals(stack)["accepted"] == 1
    (server,) = stack.client.servers.list()
    assert server["health"]["status"] == "ok"


def test_mail_that_was_answered_250_outlives_a_crash_and_the_control_plane(stack: Stack) -> None:
    stack.stop_program("smart-host")
    sent = [f"message {number}" for number in range(5)]
    for subject in sent[:4]:
        assert _send(stack, subject).startswith("250 ")
    stack.stop_program("control-plane")
    assert _send(stack, sent[4]).startswith("250 "), "mail goes on without the control plane"

    stack.kill_program("mx1")
    stack.start_smart_host()
    stack.start_agent("mx1")
    _retry_now(stack)
    stack.wait_for_mail(len(sent))
    assert _subjects(stack) == sent

    assert _send(stack, "after").startswith("250 "), "the config came from the disk"
    stack.wait_for_mail(len(sent) + 1)
    stack.start_control_plane()
    wait_until(lambda: _totals(stack).get("delivered") == 6, 30, what="what happened meanwhile is counted")
    assert _totals(stack)["accepted"] == 6
    assert _subjects(stack) == sorted([*sent, "after"])


def _retry_now(stack: Stack) -> None:
    """Have what waits tried, by the agent or on the spool that it is about to open: one waits for the other."""
    command = [BIN / "gatepost-agent", "queue", "retry", "--state-dir", stack.agents["mx1"].state, "--all"]
    run(command, stack.agent_environment)


def test_what_cannot_be_published_says_where_and_changes_nothing(stack: Stack) -> None:
    before = stack.client.draft.get()
    with pytest.raises(ApiProblem) as refused:
        stack.client.draft.replace(
            before.body | {"connectors": [{"name": "x", "bindings": ["0.0.0.0:25"], "rights": 1}]}
        )
    assert refused.value.status == 422
    assert "/connectors/0/rights" in [error.pointer for error in refused.value.errors]
    assert stack.client.draft.get() == before


def test_no_secret_is_kept_where_it_could_be_read(stack: Stack) -> None:
    enrollment = stack.client.enrollment_tokens.create(name="mx9")["token"]
    viewer = stack.new_token("viewer", "viewer")
    agent = (stack.agents["mx1"].state / "agent.token").read_text(encoding="ascii")
    secrets = [stack.token, viewer, enrollment, *_long_words(agent)]
    assert len(secrets) >= 4
    _send(stack, "a message")
    stack.wait_for_mail(1)
    kept = [*stack.folder.glob("gatepost.db*"), *stack.folder.glob("*.log")]
    assert len(kept) >= 4
    for path in kept:
        content = path.read_bytes()
        found = [secret for secret in secrets if _secret_part(secret).encode() in content]
        assert found == [], path.name


def _long_words(text: str) -> list[str]:
    """The tokens in the agent's token file."""
    return [word for word in text.replace('"', " ").split() if word.startswith("gp_")]


def _secret_part(token: str) -> str:
    """The part of a token that proves anything: 43 characters of base64url."""
    found = re.fullmatch(r"gp_[a-z]+_[a-z0-9]+_([A-Za-z0-9_-]{43})_.*", token.strip())
    assert found is not None, "not a token"
    return found[1]
