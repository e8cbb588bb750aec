"""The command line: exit codes, JSON on every exit, and what works without a running agent."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatepost_agent.cli import main
from gatepost_agent.mail_log import MailLog
from gatepost_agent.spool.messages import SpoolLimits
from gatepost_agent.spool.spool import Spool
from tests.agent.spool.samples import body_of, receive

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("GATEPOST_AGENT_STATE_DIR", str(tmp_path / "state"))

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 1), captured.out, captured.err

    return run


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("dance",),
        ("queue",),
        ("queue", "hold", "--client"),
        ("enroll", "--url", "http://127.0.0.1:1"),
        ("enroll", "--url", "http://127.0.0.1:1", "--token", "x", "--name", "mx1"),
        ("enroll", "--url", "http://127.0.0.1:1", "--token-file", "/nowhere", "--name", "mx1"),
        ("enroll", "--url", "http://127.0.0.1:1", "--token", "x", "--name", "mx1", "--label", "fra"),
        ("trace",),
        ("queue", "hold", "--kept", "--all"),
        ("queue", "release", "--kept", "7"),
    ],
)
def test_wrong_usage_exits_64(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments)[0] == 64


def test_a_setting_that_cannot_be_used_exits_64(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEPOST_AGENT_DRAIN_S", "soon")
    code, _, told = run("status")
    assert code == 64
    assert "drain_s" in told


def test_every_command_explains_itself(run: Run) -> None:
    for command in ("enroll", "run", "status", "deny", "trust", "set-url", "clock", "queue", "trace"):
        code, told, _ = run(command, "--help")
        assert code == 0
        assert len(told) > 100


def test_the_status_of_no_agent_is_unknown(run: Run) -> None:
    code, told, _ = run("status")
    assert code == 3
    assert told.startswith("UNKNOWN no agent runs on")
    code, told, _ = run("status", "--output", "json")
    assert code == 3
    assert json.loads(told)["health"] == "unknown"


def test_the_state_folder_may_stand_before_or_after_the_command(run: Run, tmp_path: Path) -> None:
    folder = str(tmp_path / "elsewhere")
    for words in (
        ("--state-dir", folder, "status"),
        ("status", "--state-dir", folder),
        ("--state-dir", "no", "status", "--state-dir", folder),
    ):
        assert run(*words)[1] == f"UNKNOWN no agent runs on {folder}\n"
    assert folder in run("queue", "--state-dir", folder, "list")[2]
    assert "no agent runs" in json.loads(run("--output", "json", "deny", "10.0.0.1")[1])["error"]


def test_what_is_wrong_with_the_words_is_no_answer(run: Run) -> None:
    code, answer, told = run("dance")
    assert (code, answer) == (64, "")
    assert "usage: gatepost-agent" in told


def test_errors_are_json_too_when_json_was_asked_for(run: Run) -> None:
    code, out, err = run("deny", "10.0.0.1", "--output", "json")
    assert code == 1
    assert "no agent runs" in json.loads(out)["error"]
    assert "no agent runs" in err


def test_a_host_that_is_not_enrolled_says_how_to_begin(run: Run, state_dir: Path) -> None:
    code, _, told = run("run")
    assert code == 1
    assert "gatepost-agent enroll" in told
    assert state_dir.exists()


def test_the_queue_of_a_stopped_agent_needs_its_spool(run: Run, state_dir: Path) -> None:
    code, _, told = run("queue", "list")
    assert code == 1
    assert str(state_dir / "spool") in told


def _spool(state_dir: Path, *bodies: bytes) -> None:
    async def filled() -> None:
        spool = await Spool.open(state_dir / "spool", SpoolLimits(free_floor=0))
        for body in bodies:
            await receive(spool, body)
        await spool.close()

    asyncio.run(filled())


@pytest.mark.parametrize(
    ("words", "answer", "remark"),
    [
        (("list",), "", "nothing waits"),
        (("list", "--output", "json"), "", "nothing waits"),
        (("list", "--kept"), "", "nothing is kept"),
        (("list", "--to", "@fabrikam.com"), "", "no message matches"),
        (("delete", "--all"), "done                 0\n", "nothing waits"),
        (("retry", "--older", "2h"), "done                 0\n", "no message matches"),
        (("delete", "--all", "--dry-run"), "would                0\nids                  []\n", "nothing waits"),
        (("check",), "", "no damage in 0 messages"),
        (("check", "--output", "json"), "", "no damage in 0 messages"),
    ],
)  # fmt: skip
def test_an_empty_queue_says_so_to_people(
    run: Run, state_dir: Path, words: tuple[str, ...], answer: str, remark: str
) -> None:
    _spool(state_dir)
    assert run("queue", *words) == (0, answer, f"{remark}\n")


@pytest.mark.parametrize("act", ["show", "hold", "release", "retry", "delete"])
def test_an_id_that_nobody_has_is_not_done(run: Run, state_dir: Path, act: str) -> None:
    _spool(state_dir, body_of(1))
    assert run("queue", act, "99") == (1, "", "gatepost-agent: no message 99 in the queue\n")
    code, told, _ = run("queue", act, "99", "--output", "json")
    assert (code, json.loads(told)) == (1, {"error": "no message 99 in the queue"})


def test_a_dry_run_of_an_export_says_which_and_writes_nothing(run: Run, state_dir: Path) -> None:
    _spool(state_dir, body_of(1))
    target = state_dir / "mail"
    words = ("queue", "export", "--file", str(target))
    code, told, _ = run(*words, "--dry-run", "--output", "json")
    assert (code, json.loads(told)) == (0, {"would": 1, "ids": [1]})
    assert not target.exists()
    assert run(*words) == (0, "", "1 exported\n")
    assert target.stat().st_size > 0


def test_what_is_found_needs_no_remark(run: Run, state_dir: Path) -> None:
    _spool(state_dir, body_of(1, 150_000), body_of(2))
    code, told, remark = run("queue", "list")
    assert (code, len(told.splitlines()), remark) == (0, 2, "")
    assert run("queue", "check") == (0, "", "no damage in 2 messages\n")
    (state_dir / "spool" / "bodies" / "1").write_bytes(b"short")
    assert run("queue", "check") == (1, "the body of message 1 is not what was received\n", "")


def test_trace_reads_the_log_of_a_stopped_agent(run: Run, state_dir: Path) -> None:
    log = MailLog(state_dir)
    entry: dict[str, Any] = {
        "event": "delivery_attempt",
        "queue_id": 7,
        "rcpt_to": "kate@fabrikam.com",
        "reply": "\x1b[2J",
    }
    log.write(entry)
    log.close()
    code, told, _ = run("trace", "--to", "kate@fabrikam.com")
    assert code == 0
    assert "queue_id=7" in told
    assert "\x1b" not in told
    code, told, _ = run("trace", "--to", "kate@fabrikam.com", "--output", "json")
    assert json.loads(told).items() >= entry.items()
    assert run("trace", "--to", "nobody@fabrikam.com") == (1, "", "nothing in the mail log matches\n")
    code, _, problem = run("trace", "--client", "10.0.0.0/40")
    assert (code, "10.0.0.0/40" in problem) == (64, True)


def test_a_folder_that_others_can_read_is_refused(run: Run, state_dir: Path) -> None:
    state_dir.chmod(0o755)
    code, _, told = run("run")
    assert code == 1
    assert "chmod 700" in told
