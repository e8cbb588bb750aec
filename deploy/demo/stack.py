"""A whole Gatepost on loopback: control plane on SQLite, agents, a smart host; real processes, one folder.

The demo and the system tests stand on it. Client addresses are 127.0.0.0/8; each server has an address of its own
there, and all listen on the same free port of it.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from deploy.demo.processes import BIN, Program, StackError, clean_environment, free_port, run, until
from gatepost.client import Client
from gatepost.documents import load_document
from gatepost.policy.model.document import FleetDocument

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "deploy" / "examples"
ADDRESSES = {"mx1": "127.0.0.1", "mx2": "127.0.0.2"}

# Told to the programs, so that nobody waits for what is leisurely on a real host.
BRISK_API = {"GATEPOST_PROBATION_S": "1", "GATEPOST_LOG_LEVEL": "info"}
BRISK_AGENT = {"GATEPOST_AGENT_FIRST_CHECKIN_WITHIN_S": "0", "GATEPOST_AGENT_REPORT_INTERVAL_S": "1",
               "GATEPOST_AGENT_RETRY_MAX_S": "1", "GATEPOST_AGENT_DRAIN_S": "2"}  # fmt: skip


class Message(NamedTuple):
    """What the smart host got."""

    sender: str
    recipients: tuple[str, ...]
    content: str


class Agent(NamedTuple):
    """An enrolled server: where it listens, and where it keeps what it has."""

    name: str
    address: str
    port: int
    state: Path


class Stack:
    """Everything that runs; leaving it stops everything, the last started first."""

    def __init__(
        self,
        folder: Path,
        *,
        api: Mapping[str, str] | None = None,
        agent: Mapping[str, str] | None = None,
        addresses: Mapping[str, str] = ADDRESSES,
    ) -> None:
        folder.chmod(0o700)
        self.folder = folder
        self.addresses = dict(addresses)
        self.port = free_port(*self.addresses.values())
        self.api_environment = clean_environment(
            {"GATEPOST_DATABASE_URL": f"sqlite:///{folder / 'gatepost.db'}"} | BRISK_API | dict(api or {})
        )
        self.agent_environment = clean_environment(BRISK_AGENT | dict(agent or {}))
        self.agents: dict[str, Agent] = {}
        self.programs: dict[str, Program] = {}
        self.url = ""
        self.token = ""
        self.smart_host_port = 0
        self._client: Client | None = None
        self.mail = folder / "smart-host.jsonl"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop every program; again is harmless."""
        if self._client is not None:
            self._client.close()
            self._client = None
        for name in reversed(list(self.programs)):
            self.programs.pop(name).stop()

    # --- the control plane -----------------------------------------------------------------------------------

    def start_control_plane(self) -> None:
        """Start it, on the port that it had before; at the first time with a new admin token."""
        port = self.url.rpartition(":")[2] or "0"
        program = self._start(
            "control-plane", [BIN / "gatepost-api", "serve", "--port", port], self.api_environment
        )
        self.url = program.wait_for(r"https?://127\.0\.0\.1:\d+")[0]
        if not self.token:
            self.token = self.new_token("demo", "admin")
            self.token_file.write_text(self.token + "\n", encoding="ascii")

    def new_token(self, name: str, role: str) -> str:
        """An API token, made on the control plane's own host."""
        command = [BIN / "gatepost-api", "token", "create", "--name", name, "--role", role]
        return run(command, self.api_environment).strip()

    @property
    def token_file(self) -> Path:
        """The admin token, readable by nobody else."""
        path = self.folder / "token"
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        return path

    @property
    def client(self) -> Client:
        if self._client is None:
            self._client = Client(self.url, self.token)
        return self._client

    def environment(self, token: str = "") -> dict[str, str]:
        """Variables for the `gatepost` command, as whoever holds the token."""
        return clean_environment({"GATEPOST_URL": self.url, "GATEPOST_TOKEN": token or self.token})

    def gatepost(self, *words: str) -> str:
        """Run the `gatepost` command -> its stdout. Raises StackError."""
        return run([BIN / "gatepost", *words], self.environment())

    # --- agents ----------------------------------------------------------------------------------------------

    def enroll(self, name: str) -> Agent:
        """Let a host in, and let it enrol."""
        address = self.addresses[name]
        token = self.client.enrollment_tokens.create(name=name, addresses={"internal": address})["token"]
        ticket = self.folder / f"{name}.enrollment"
        with open(
            os.open(ticket, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii"
        ) as file:
            file.write(f"{token}\n")
        agent = Agent(name, address, self.port, self.folder / name)
        run(
            [
                *(BIN / "gatepost-agent", "enroll", "--url", self.url, "--token-file", ticket),
                *("--name", name, "--state-dir", agent.state),
            ],
            self.agent_environment,
        )
        ticket.unlink()
        self.client.servers.change(name, fqdn=f"{name}.contoso.com")
        self.agents[name] = agent
        return agent

    def start_agent(self, name: str, program: Sequence[Any] = (BIN / "gatepost-agent",)) -> Program:
        """Run an enrolled agent; it listens once it has a config."""
        command = [*program, "run", "--state-dir", self.agents[name].state]
        return self._start(name, command, self.agent_environment)

    def stop_program(self, name: str) -> int:
        """Stop one program in an orderly way -> its exit code."""
        return self.programs.pop(name).stop()

    def kill_program(self, name: str) -> None:
        """End one program as a crash would."""
        self.programs.pop(name).kill()

    # --- the smart host --------------------------------------------------------------------------------------

    def start_smart_host(self) -> None:
        """Start it, on the port that it had before; what it got before stays."""
        command = [sys.executable, "-m", "deploy.demo.smart_host", self.mail, self.smart_host_port]
        program = self._start("smart-host", command, clean_environment({"PYTHONPATH": str(ROOT)}))
        self.smart_host_port = int(program.wait_for(r"listening on (\d+)")[1])

    def received(self) -> list[Message]:
        """What the smart host got so far."""
        if not self.mail.exists():
            return []
        rows: list[dict[str, Any]] = [
            json.loads(line) for line in self.mail.read_text(encoding="utf-8").splitlines(keepends=True)
            if line.endswith("\n")
        ]  # fmt: skip
        return [Message(row["from"], tuple(row["to"]), row["content"]) for row in rows]

    def wait_for_mail(self, count: int, timeout_s: float = 20) -> list[Message]:
        """Once the smart host has this many messages: all of them."""
        until(lambda: len(self.received()) >= count, timeout_s, f"{count} messages at the smart host")
        return self.received()

    # --- the document ----------------------------------------------------------------------------------------

    def example_text(self, name: str = "article-on-loopback") -> str:
        """An example with this stack's ports in the place of 2525 and 2526."""
        text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
        return text.replace(":2525", f":{self.port}").replace(":2526", f":{self.smart_host_port}")

    def write_example(self, name: str = "article-on-loopback") -> Path:
        """That example as a file."""
        path = self.folder / f"{name}.yaml"
        path.write_text(self.example_text(name), encoding="utf-8")
        return path

    def publish(self, document: FleetDocument | str, *, timeout_s: float = 30) -> int:
        """Make this the draft, publish it, and wait until every agent runs it -> the revision."""
        loaded = load_document(document) if isinstance(document, str) else document
        saved = self.client.draft.replace(loaded.model_dump(mode="json", exclude_defaults=True))
        revision = int(self.client.revisions.publish(saved.etag)["number"])
        self.wait_until_running(revision, timeout_s=timeout_s)
        return revision

    def wait_until_running(self, revision: int, *, timeout_s: float = 30) -> None:
        """Until every started agent runs that revision. Raises StackError, at once when one refuses it."""
        started = [name for name in self.agents if name in self.programs]
        until(
            lambda: self._all_run(started, revision),
            timeout_s,
            f"{', '.join(started)} run revision {revision}",
        )

    def _all_run(self, names: list[str], revision: int) -> bool:
        servers = {server["name"]: server for server in self.client.servers.list()}
        for name in names:
            if servers[name]["assignment"]["state"] in ("rejected", "rolled_back", "blocked", "held"):
                raise StackError(f"{name}: {servers[name]['assignment']} {servers[name]['last_attempt']}")
        return all((servers[name]["running"] or {}).get("revision") == revision for name in names)

    def up(self) -> None:
        """Start all of it: control plane, smart host, every server enrolled and running; nothing published."""
        self.start_control_plane()
        self.start_smart_host()
        for name in self.addresses:
            self.enroll(name)
            self.start_agent(name)

    def _start(self, name: str, command: list[Any], environment: Mapping[str, str]) -> Program:
        program = Program(name, command, self.folder / f"{name}.log", environment)
        self.programs[name] = program
        return program
