"""Programs that are started here and never outlive us: each has a log, a way to wait for it, and an end."""

import contextlib
import ctypes
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

BIN = Path(sys.executable).parent
STOP_S = 20.0
PAUSE_S = 0.02
PORTS = range(20000, 32000)
PR_SET_PDEATHSIG = 1


class StackError(Exception):
    """A program did not do what it is started for; the text says which, and what it said last."""


def until(condition: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """The first true value of `condition()`. Raises StackError at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise StackError(f"not within {timeout_s:g} s: {what}")
        time.sleep(PAUSE_S)
    return found


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's variables without settings of Gatepost or proxies that somebody may have set."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith("GATEPOST_") and not name.upper().endswith("_PROXY")
    }
    return kept | {"PATH": f"{BIN}{os.pathsep}{kept.get('PATH', os.defpath)}"} | dict(extra or {})


def free_port(*addresses: str) -> int:
    """A TCP port that nobody listens on, on any of these addresses.

    Below those that the kernel gives to outgoing connections: one of those could take it before it is used.
    """
    for port in random.sample(PORTS, len(PORTS)):
        with contextlib.ExitStack() as probes:
            try:
                for address in addresses:
                    family = socket.AF_INET6 if ":" in address else socket.AF_INET
                    probes.enter_context(socket.socket(family)).bind((address, port))
            except OSError:
                continue
            return port
    raise StackError(f"no port from {PORTS[0]} to {PORTS[-1]} is free on {', '.join(addresses)}")


def _end_with_parent() -> None:
    """In the child: be told to stop when whoever started us is gone, however it went (Linux; nothing elsewhere)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Program:
    """A running program. Its output goes to `log`."""

    def __init__(
        self, name: str, command: Sequence[object], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = log
        self._from = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C is ours to pass on, in order
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, from the main thread
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def said(self) -> str:
        """What it has written since it was started."""
        with self.log.open("rb") as file:
            file.seek(self._from)
            return file.read().decode("utf-8", "replace")

    def wait_for(self, pattern: str, timeout_s: float = 30) -> re.Match[str]:
        """The first match in what it says. Raises StackError when it ends, or is late."""

        def found() -> re.Match[str] | None:
            ended = not self.alive
            match = re.search(pattern, self.said())
            if match is None and ended:
                raise StackError(f"{self.name} ended with {self._process.returncode}: {self.last_words()}")
            return match

        return until(found, timeout_s, f"{self.name} says {pattern!r}; it said {self.last_words()}")

    def last_words(self) -> str:
        """Its last line, for an error."""
        lines = self.said().strip().splitlines()
        return lines[-1] if lines else "nothing"

    def stop(self) -> int:
        """SIGTERM, and SIGKILL when that takes too long -> the exit code."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """SIGKILL: what a power cut does to a process."""
        self._process.kill()
        return self._process.wait()


class Done(NamedTuple):
    """How a command that ends by itself ended."""

    code: int
    stdout: str
    stderr: str


def attempt(command: Sequence[object], environment: Mapping[str, str], timeout_s: float = 60) -> Done:
    """Run a command to its end, whatever it is. Raises StackError when it does not end."""
    words = [str(part) for part in command]
    try:
        done = subprocess.run(
            words, env=dict(environment), capture_output=True, text=True, check=False, timeout=timeout_s
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"{Path(words[0]).name} {words[1]} took more than {timeout_s:g} s") from error
    return Done(done.returncode, done.stdout, done.stderr)


def run(command: Sequence[object], environment: Mapping[str, str], timeout_s: float = 60) -> str:
    """A command that has to succeed -> its stdout. Raises StackError with what it complained about."""
    done = attempt(command, environment, timeout_s)
    if done.code:
        complaint = (done.stderr or done.stdout).strip()
        raise StackError(f"{Path(str(command[0])).name} {command[1]} ended with {done.code}: {complaint}")
    return done.stdout
