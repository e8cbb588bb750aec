"""The commands of a document as one script, run by a real shell."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIMEOUT_S = 200.0


class Shell(NamedTuple):
    """How a script ended, and all that it printed."""

    code: int
    output: str


def blocks(document: Path) -> list[tuple[str, str]]:
    """Language and text of every fenced block."""
    return BLOCK.findall(document.read_text(encoding="utf-8"))


def script_of(document: Path, replaced: Mapping[str, str]) -> str:
    """Every `sh` block, in order, with what belongs to this machine put in. A text that is not there is an error."""
    text = "\n".join(body for language, body in blocks(document) if language == "sh")
    for old, new in replaced.items():
        assert old in text, f"{document.name} no longer says {old!r}"
        text = text.replace(old, new)
    return text


def run_script(
    text: str, folder: Path, environment: Mapping[str, str], timeout_s: float = TIMEOUT_S
) -> Shell:
    """Run it in a folder; stop at the first command that fails. What it leaves in the background is ended."""
    transcript = folder / "transcript"
    with transcript.open("wb") as output:
        shell = subprocess.Popen(
            ["bash", "-eu", "-o", "pipefail", "-c", text],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            _end(shell.pid)
            shell.wait()
    return Shell(code, transcript.read_text(encoding="utf-8", errors="replace"))


def _end(group: int) -> None:
    """End every process of the script's own session."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
