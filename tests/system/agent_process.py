"""A real agent process, driven over its command line and its sockets."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gatepost_agent.local.client import NotRunning, ask
from tests.support.waiting import wait_until

QUICK = {
    "GATEPOST_AGENT_FIRST_CHECKIN_WITHIN_S": "0",
    "GATEPOST_AGENT_RETRY_MAX_S": "1",
    "GATEPOST_AGENT_TURNED_AWAY_RETRY_S": "1",
    "GATEPOST_AGENT_FREE_DISK_BYTES": "1048576",
    "GATEPOST_AGENT_DRAIN_S": "5",
}


class AgentProcess:
    """`gatepost-agent` on one state folder."""

    def __init__(self, state_dir: Path, **settings: str) -> None:
        self.state_dir = state_dir
        self.environment = {"PATH": os.environ["PATH"], "GATEPOST_AGENT_STATE_DIR": str(state_dir)} | QUICK
        self.environment |= {f"GATEPOST_AGENT_{name.upper()}": value for name, value in settings.items()}
        self.process: subprocess.Popen[bytes] | None = None
        self.log = state_dir.parent / f"{state_dir.name}.log"

    def command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "gatepost_agent.cli", *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def enroll(self, url: str, token: str, name: str = "mx1", *more: str) -> None:
        done = self.command("enroll", "--url", url, "--token-file", "-", "--name", name, *more, stdin=token)
        assert done.returncode == 0, done.stderr

    def start(self, *arguments: str, program: Sequence[str] = ("-m", "gatepost_agent.cli", "run")) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", *program, *arguments],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._is_up, 20, what="the agent answers")

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.status())
        except NotRunning:  # a socket that a killed agent left is no sign of life
            return False

    def status(self) -> dict[str, Any]:
        """What `gatepost-agent status` shows."""
        [row] = ask(self.state_dir, "status")
        return row

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def close(self) -> None:
        """End it however it is."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


class Client:
    """An SMTP client that says lines and hears replies."""

    def __init__(self, port: int, source: str = "127.0.0.1", host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), timeout=10, source_address=(source, 0))
        self.file = self.socket.makefile("rb")
        try:
            self.greeting = self.reply()
        except OSError:
            self.close()
            raise

    def reply(self) -> str:
        """A whole reply; its lines joined by LF. Empty: the connection ended."""
        lines = []
        while True:
            line = self.file.readline().decode("ascii").rstrip("\r\n")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, line: str) -> str:
        self.socket.sendall(line.encode() + b"\r\n")
        return self.reply()

    def send(self, sender: str, recipient: str, body: str = "Subject: x\r\n\r\nhello") -> str:
        """A whole message; the last reply."""
        for line in ("EHLO printer.contoso.com", f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA"):
            answer = self.say(line)
            if not answer.startswith(("250", "354")):
                return answer
        return self.say(body + "\r\n.")

    def close(self) -> None:
        self.file.close()
        self.socket.close()
