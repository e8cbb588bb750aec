"""`gatepost-api` as a program: what it prints, refuses, creates, and with which exit code."""

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from gatepost_api.cli import main
from gatepost_api.tokens.schemas import ApiTokenOut
from tests.support.control_plane import copy_of
from tests.support.waiting import wait_until

PROGRAM = [sys.executable, "-m", "gatepost_api.cli"]


def environment(variables: dict[str, str]) -> dict[str, str]:
    """This process's variables without Gatepost's own, and those given."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEPOST_")} | variables


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def serving(
    folder: Path,
    port: int,
    *arguments: str,
    ready: Callable[[], bool] | None = None,
    variables: dict[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """`serve` while the block runs; it has to end by itself, with exit code 0, when it is told to."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*PROGRAM, "serve", "--port", str(port), *arguments],
            cwd=folder,
            env=environment(variables or {}),
            stdout=log,
            stderr=log,
        )
    try:
        is_ready = ready or (lambda: answers(port))
        wait_until(lambda: process.poll() is not None or is_ready(), 30, what="serve answers")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, (folder / "log").read_text()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_serve_and_migrate_create_a_database(tmp_path: Path) -> None:
    for command in (["token", "create", "--name", "x"], ["token", "list"], ["backup", "copy.db"]):
        done = run(tmp_path, *command)
        assert done.returncode == 1
        assert str(tmp_path / "gatepost.db") in done.stderr
        assert list(tmp_path.iterdir()) == []
    assert run(tmp_path, "migrate").returncode == 0
    assert mode(tmp_path / "gatepost.db") == mode(tmp_path / "fleet.key") == 0o600


def test_a_token_is_printed_alone_and_once(tmp_path: Path) -> None:
    run(tmp_path, "migrate")
    made = run(tmp_path, "token", "create", "--name", "ci", "--role", "operator", "--expires-in", "90d")
    assert made.stdout.startswith("gp_api_")
    assert len(made.stdout.split()) == 1
    listed = run(tmp_path, "token", "list").stdout
    assert "ci" in listed
    assert "operator" in listed
    assert made.stdout.strip() not in listed
    taken = run(tmp_path, "token", "create", "--name", "ci")
    assert (taken.returncode, taken.stdout) == (1, "")
    assert run(tmp_path, "token", "revoke", "--name", "ci").returncode == 0
    assert "revoked" in run(tmp_path, "token", "list").stdout


def test_tokens_are_listed_for_programs_as_the_api_shows_them(tmp_path: Path) -> None:
    run(tmp_path, "migrate")
    assert json.loads(run(tmp_path, "token", "list", "--output", "json").stdout) == []
    made = run(tmp_path, "token", "create", "--name", "ci", "--role", "operator", "--expires-in", "90d")
    told = run(tmp_path, "token", "list", "-o", "json").stdout
    (listed,) = [ApiTokenOut.model_validate_json(json.dumps(row)) for row in json.loads(told)]
    assert (listed.name, listed.role, listed.revoked_at) == ("ci", "operator", None)
    assert listed.expires_at is not None
    assert made.stdout.strip() not in told


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["serve", "--port", "many"],
        ["serve", "--host", "0.0.0.0"],
        ["serve", "--database-url", "mysql://x"],
        ["token", "create", "--name", "x", "--role", "king"],
        ["token", "create", "--name", "x", "--expires-in", "soon"],
        ["token", "create"],
        ["token", "revoke"],
    ],
)
def test_usage_errors_exit_64(
    tmp_path: Path, sqlite_schema: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_of(sqlite_schema, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEPOST_DATABASE_URL", "sqlite:///gatepost.sqlite")
    monkeypatch.setattr(sys, "argv", ["gatepost-api", *arguments])
    monkeypatch.setattr(os, "umask", lambda _mode: 0)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 64


def test_a_refused_value_is_named_with_its_field_and_a_password_is_not(tmp_path: Path) -> None:
    run(tmp_path, "migrate")
    king = run(tmp_path, "token", "create", "--name", "x", "--role", "king")
    assert king.stderr.startswith("gatepost-api: --role: 'king': Input should be 'viewer'")
    wrong = run(tmp_path, "serve", "--database-url", "mysql://kate:hunter2@db/x")
    assert wrong.stderr == (
        "gatepost-api: GATEPOST_DATABASE_URL: names the database 'mysql'; sqlite and postgresql are supported\n"
    )


def test_a_backup_says_where_it_could_not_be_written(tmp_path: Path) -> None:
    run(tmp_path, "migrate")
    assert run(tmp_path, "backup", "copy.db").returncode == 0
    assert mode(tmp_path / "copy.db") == 0o600
    for target, told in (("copy.db", "exists; give a new name"), ("nowhere/copy.db", "cannot be copied to")):
        done = run(tmp_path, "backup", target)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert told in done.stderr


def test_a_wide_open_key_is_refused(tmp_path: Path) -> None:
    run(tmp_path, "migrate")
    (tmp_path / "fleet.key").chmod(0o640)
    done = run(tmp_path, "serve")
    assert done.returncode == 1
    assert "chmod 600" in done.stderr


def test_serve_migrates_is_alone_lets_short_commands_write_and_ends_at_once(
    tmp_path: Path, free_port: Callable[[str], int]
) -> None:
    port = free_port("127.0.0.1")
    with serving(tmp_path, port):
        second = run(tmp_path, "serve", "--port", str(free_port("127.0.0.1")))
        assert second.returncode == 1
        assert str(tmp_path / "gatepost.db") in second.stderr
        assert "PostgreSQL" in second.stderr
        token = run(tmp_path, "token", "create", "--name", "a", "--role", "admin").stdout.strip()
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"}
        ) as client:
            assert client.get("/v1/draft").status_code == 200
            assert client.get("/docs").status_code == 200
            page = client.get("/docs").text
            assert "https://" not in page.replace("https://fastapi", "")
            assert 'gatepost_api_requests_total{method="GET",status="200"}' in client.get("/metrics").text
        copy = run(tmp_path, "backup", "copy.db")
        assert copy.returncode == 0, copy.stderr
        with closing(sqlite3.connect(tmp_path / "copy.db")) as found:
            assert found.execute("SELECT count(*) FROM api_token").fetchone() == (1,)
        assert mode(tmp_path / "copy.db") == 0o600
    assert token not in (tmp_path / "log").read_text()


def test_settings_come_from_the_environment_too(tmp_path: Path) -> None:
    elsewhere = tmp_path / "other.db"
    done = run(tmp_path, "migrate", GATEPOST_DATABASE_URL=f"sqlite:///{elsewhere}")
    assert done.returncode == 0, done.stderr
    assert elsewhere.exists()
    assert (tmp_path / "fleet.key").exists()


def test_postgresql_needs_migrate_first(tmp_path: Path, postgres_url: str) -> None:
    refused = run(tmp_path, "serve", "--database-url", postgres_url)
    assert refused.returncode == 1
    assert "gatepost-api migrate" in refused.stderr
    assert run(tmp_path, "migrate", "--database-url", postgres_url).returncode == 0
    made = run(tmp_path, "token", "create", "--name", "x", "--database-url", postgres_url)
    assert made.stdout.startswith("gp_api_")
