"""`make demo`, as a stranger meets it: it ends well, says what it did, and leaves nothing behind."""

import contextlib
import io
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from deploy.demo.processes import clean_environment
from deploy.demo.screen import transcript
from deploy.demo.telnet import Line
from tests.support.house import ROOT
from tests.support.waiting import wait_until

LIMIT_S = 60
WHERE = re.compile(r"GATEPOST_URL=(\S+) GATEPOST_TOKEN=\"\$\(cat (\S+)\)\"")


@contextlib.contextmanager
def _demo(folder: Path, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The demo as a process whose temporary folder and output lie in `folder`."""
    (folder / "tmp").mkdir()
    with (folder / "output").open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, "-m", "deploy.demo"],
            cwd=ROOT,
            env=clean_environment({"TMPDIR": str(folder / "tmp"), **environment}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A test run in the background ignores it, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
        )
        try:
            yield demo
        finally:
            demo.kill()
            demo.wait()


def _output(folder: Path) -> str:
    return (folder / "output").read_text(encoding="utf-8", errors="replace")


def _running_in(folder: Path) -> list[str]:
    """The command lines of processes that were told of the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (entry.parent / "environ").read_bytes().decode(errors="replace")
            if int(entry.parent.name) != os.getpid() and str(folder / "tmp") in environment + words:
                found.append(words)
    return found


def _nothing_left(folder: Path) -> None:
    assert list((folder / "tmp").iterdir()) == []
    assert _running_in(folder) == []


def test_it_plays_the_article_on_two_servers(tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        code = demo.wait(100)
    shown = _output(tmp_path)
    assert code == 0, shown
    assert "Traceback" not in shown
    for told in (
        "127.0.0.10 on mx1",
        "127.0.0.11 on mx2",
        "127.0.0.99 on mx1",
        "127.0.0.12 on mx2",
        "250 2.1.5 Recipient OK",
        "550 5.7.1 Unable to relay",
        "354 Start mail input; end with <CRLF>.<CRLF>",
        "Queued mail for delivery",
        "This is a test message",
        "ms after it was published",
        "Enabled",
        "RemoteIPRanges",
        "ms-Exch-SMTP-Accept-Any-Recipient",
        "421 ",
        "delivered",
    ):
        assert told in shown, told
    took = re.search(r"as it should be, in (\d+) s", shown)
    assert took is not None
    assert int(took[1]) < LIMIT_S
    _nothing_left(tmp_path)


def test_interrupted_it_stops_all_that_it_started(tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        wait_until(lambda: "mx1 enrolled" in _output(tmp_path), 60, what="the first agent is up")
        assert len(_running_in(tmp_path)) > 2
        demo.send_signal(signal.SIGINT)
        assert demo.wait(40) == 130
    assert "Traceback" not in _output(tmp_path)
    _nothing_left(tmp_path)


def test_a_failure_is_one_sentence_and_leaves_nothing_up(tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        wait_until(lambda: "mx1 enrolled" in _output(tmp_path), 60, what="the first agent is up")
        (control_plane,) = [
            line for line in _running_in(tmp_path) if "gatepost-api" in line and "serve" in line
        ]
        assert control_plane
        _kill_control_plane(tmp_path)
        assert demo.wait(100) == 1
    shown = _output(tmp_path)
    assert "✗" in shown
    assert "Traceback" not in shown
    _nothing_left(tmp_path)


def _kill_control_plane(folder: Path) -> None:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = entry.read_bytes()
            ours = str(folder / "tmp").encode() in (entry.parent / "environ").read_bytes()
            if ours and b"gatepost-api\0serve" in words:
                os.kill(int(entry.parent.name), signal.SIGKILL)


def test_kept_up_it_says_where_everything_is(tmp_path: Path) -> None:
    with _demo(tmp_path, KEEP="1") as demo:
        wait_until(
            lambda: demo.poll() or WHERE.search(_output(tmp_path)), 100, what="the demo says where it is"
        )
        found = WHERE.search(_output(tmp_path))
        assert found is not None, _output(tmp_path)
        token = Path(found[2])
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert token.read_text(encoding="ascii").strip() not in _output(tmp_path)
        servers = subprocess.run(
            [Path(sys.executable).with_name("gatepost"), "servers", "--output", "json"],
            env=clean_environment({"GATEPOST_URL": found[1], "GATEPOST_TOKEN": token.read_text().strip()}),
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert '"mx2"' in servers.stdout
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(40) == 0
    _nothing_left(tmp_path)


def test_on_a_terminal_it_has_colours() -> None:
    terminal = io.StringIO()
    console = Console(force_terminal=True, color_system="standard", width=80, file=terminal)
    console.print(transcript("a host", [Line(typed=False, text="550 5.7.1 Unable to relay")]))
    assert "\x1b[31m550 5.7.1 Unable to relay" in terminal.getvalue()
