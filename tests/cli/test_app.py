"""The contract of every command: exit codes, JSON on stdout whatever happens, nothing a user must not see."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from gatepost import __version__
from gatepost.cli import servers
from gatepost.cli.app import EXAMPLES, app, execute
from gatepost_api.auth import Role
from tests.cli.conftest import Gatepost, Plane
from tests.support.control_plane import DOCUMENT

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
READS = [
    ["servers"],
    ["servers", "list"],
    ["revisions"],
    ["revisions", "list"],
    ["verify"],
    ["wait"],
    ["export"],
    ["counts"],
    ["devices"],
    ["audit"],
    ["tokens"],
    ["tokens", "list"],
    ["enrollment-token"],
    ["enrollment-token", "list"],
    ["connectors"],
    ["blocked"],
    ["relay-users"],
]


@pytest.mark.parametrize(
    "words", [["servers", "-o", "json"], ["--output", "json", "servers"], ["servers", "--output=json"]]
)
def test_output_may_stand_before_or_after_the_command(reading: Gatepost, words: list[str]) -> None:
    ran = reading(*words)
    assert (ran.code, ran.json) == (0, [])


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_every_reading_command_answers_in_both_forms(reading: Gatepost, words: list[str]) -> None:
    for_people, for_programs = reading(*words), reading(*words, "-o", "json")
    assert (for_people.code, for_programs.code) == (0, 0)
    assert for_people.out + for_people.err
    assert for_programs.json is not None


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_every_failure_is_json_too(
    bare: Gatepost, idle_plane: Plane, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEPOST_TOKEN", "gp_api_0000000000000000_nobody")
    refused = bare(*words, "--url", idle_plane.url, "-o", "json")
    assert (refused.code, refused.json["exit_code"]) == (13, 13)
    assert refused.json["error"]["type"] == "not-authenticated"
    assert refused.json["error"]["request_id"].startswith("req_")
    away = bare(*words, "--url", "http://127.0.0.1:9", "-o", "json")
    assert (away.code, away.json["exit_code"], away.json["error"]["type"]) == (17, 17, "unreachable")
    assert away.err.startswith("gatepost: http://127.0.0.1:9 does not answer")


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["servers", "nonsense"],
        ["servers", "show"],
        ["servers", "--nonsense"],
        ["--output", "xml", "servers"],
        ["enrollment-token", "create", "--label", "site"],
        ["tokens", "create", "--name", "x", "--role", "king"],
        ["range", "add", "x"],
        ["probe", "mx1:0", "--mail-from", "", "--rcpt-to", "a@b"],
        ["explain", "--server", "mx1", "--remote", "10.0.0.1"],
        ["servers", "--url", "http://10.1.1.1"],
        ["servers", "--url", "gatepost"],
    ],
    ids=" ".join,
)
def test_usage_errors_are_64(reading: Gatepost, words: list[str]) -> None:
    ran = reading(*words)
    assert (ran.code, ran.out) == (64, "")
    assert ran.err.startswith("gatepost: ")
    if "xml" not in words:
        assert reading(*words, "-o", "json").json["exit_code"] == 64


def test_no_settings_are_a_usage_error(bare: Gatepost) -> None:
    ran = bare("servers")
    assert ran.code == 64
    assert "GATEPOST_URL" in ran.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(bare: Gatepost, command: str) -> None:
    ran = bare(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert "Usage: gatepost" in ran.out


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"probe"}))
def test_every_example_is_a_command_line(
    bare: Gatepost, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fleet.yaml").write_text(DOCUMENT)
    monkeypatch.setenv("GATEPOST_TOKEN", "gp_api_0000000000000000_nobody")
    words = shlex.split(EXAMPLES[name].removeprefix("Example: gatepost "))
    assert bare(*words, "--url", "http://127.0.0.1:9").code == 17


def test_help_is_what_no_words_get(bare: Gatepost) -> None:
    assert bare().out == bare("--help").out
    assert "17 control plane unreachable" in " ".join(bare().out.split())


def test_the_version_is_told(bare: Gatepost) -> None:
    assert bare("--version") == (0, f"gatepost {__version__}\n", "")


def test_an_unexpected_failure_shows_no_stack(bare: Gatepost, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(servers, "_listed", broken)
    ran = bare("servers", "-o", "json")
    assert (ran.code, ran.json["error"]["type"]) == (1, "unexpected")
    assert ran.err == f"gatepost: {ran.json['error']['detail']}\n"
    assert "ZeroDivisionError: by nothing (test_app.py line" in ran.err


def test_ctrl_c_is_130_and_says_so(bare: Gatepost, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(servers, "_listed", interrupted)
    ran = bare("servers", "-o", "json")
    assert (ran.code, ran.json["exit_code"]) == (130, 130)


def test_secrets_are_printed_once_and_nowhere_else(
    gatepost: Gatepost, plane: Plane, fleet_file: Callable[[str], Path]
) -> None:
    made = [
        gatepost("tokens", "create", "--name", "ci", "--role", "operator"),
        gatepost("enrollment-token", "create", "--name", "mx1"),
    ]
    secrets = [ran.out.removesuffix("\n") for ran in made]
    assert all("\n" not in secret and secret.startswith("gp_") for secret in secrets)
    secrets += [plane.token(role) for role in Role]
    seen = [ran.err for ran in made]
    for words in [
        *READS,
        ["apply", "-f", str(fleet_file(DOCUMENT))],
        ["servers", "--url", plane.url + "/nowhere"],
    ]:
        for output in ("json", "table"):
            ran = gatepost(*words, "-o", output)
            seen += [ran.out, ran.err]
    assert [secret for secret in secrets for text in seen if secret in text] == []


@pytest.mark.parametrize(
    "words", [["tokens", "create", "--name", "ci"], ["enrollment-token", "create"]], ids=" ".join
)
def test_a_new_token_is_alone_on_stdout(gatepost: Gatepost, words: list[str]) -> None:
    plain, as_json = gatepost(*words), gatepost(*[word.replace("ci", "cd") for word in words], "-o", "json")
    assert plain.out.startswith("gp_")
    assert plain.out.count("\n") == 1
    assert list(as_json.json) == ["token"]


def test_the_console_script_is_this_command(idle_plane: Plane) -> None:
    environment = os.environ | {
        "GATEPOST_URL": idle_plane.url,
        "GATEPOST_TOKEN": idle_plane.token(Role.viewer),
    }
    command = [sys.executable, "-c", "import gatepost.cli; gatepost.cli.main()", "servers", "-o", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, [], "No servers.\n")


def test_a_terminal_without_unicode_is_no_stack_trace() -> None:
    command = [sys.executable, "-c", "import gatepost.cli; gatepost.cli.main()", "--help"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_left_is_no_stack_trace(idle_plane: Plane) -> None:
    environment = os.environ | {
        "GATEPOST_URL": idle_plane.url,
        "GATEPOST_TOKEN": idle_plane.token(Role.admin),
    }
    script = f"{sys.executable} -c 'import gatepost.cli; gatepost.cli.main()' audit | true"
    done = subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert "Traceback" not in done.stderr


def test_execute_gives_the_exit_code() -> None:
    assert execute(["nonsense"]) == 64
