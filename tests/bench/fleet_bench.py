"""A publish to a whole fleet: one API process on SQLite, and agents that are nothing but a socket and a report.

Prints how other requests fared while all agents came at once; then, for each publish, how long after its call began
the offers were there and the agents ran them, and how other requests fared meanwhile. `BENCH_AGENTS` (1000; 10,000 is
the largest fleet), `BENCH_PUBLISHES` (3).
"""

import asyncio
import base64
import gc
import http.client
import json
import os
import re
import resource
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import uvloop

from deploy.demo.stack import Stack
from gatepost.documents import load_document
from gatepost.signing import Signer, new_seed
from tests.bench.processes import memory
from tests.support.waiting import eventually

AGENTS = int(os.environ.get("BENCH_AGENTS", "1000"))
PUBLISHES = int(os.environ.get("BENCH_PUBLISHES", "3"))
ENROLLING = 16  # at a time
PATIENCE_S = 120.0
LOOK_S = 0.02  # between two other requests
PARKED = re.compile(rb"^gatepost_api_parked_checkins (\d+)", re.MULTILINE)
GENEROUS = {"GATEPOST_RATE_PER_S": "10000", "GATEPOST_RATE_BURST": "10000", "GATEPOST_LOG_LEVEL": "warning"}

_DOCUMENT = """
accepted_domains: [{domain: contoso.com}]
connectors:
  - name: Relay
    bindings: ["0.0.0.0:25"]
    remote_ip_ranges: [192.168.5.%d]
    permission_groups: [AnonymousUsers]
    permissions: [{principal: S-1-5-7, rights: [ms-Exch-SMTP-Accept-Any-Recipient]}]
send_connectors:
  - {name: Smart host, address_spaces: ["*"], smart_hosts: ["smtp.contoso.com:25"]}
"""


class Line:
    """One kept-open HTTP/1.1 connection. Only what the control plane's answers need."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self._head = f"HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", more: str = "") -> tuple[int, bytes]:
        """Status and body of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        writer.write(f"{method} {path} {self._head}{length}".encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        return int(head[9:12]), await reader.readexactly(size)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


class Agent:
    """Parks, takes what it is offered, says at once that it runs it, and parks again."""

    def __init__(self, number: int, line: Line, fleet: "Fleet") -> None:
        self._number = number
        self._line = line
        self._fleet = fleet
        self._seq = 0
        self._told: dict[str, Any] = {}

    async def live(self) -> None:
        while True:
            self._seq += 1
            report = {"seq": self._seq, "incarnation": f"bench-{self._number:06}", "facts_digest": "sha256:x"}
            body = json.dumps(report | self._told).encode()
            status, answer = await self._line.ask("POST", "/agent/v1/checkin", body, "Prefer: wait=55\r\n")
            if status != 200:
                raise AssertionError(f"a check-in was answered {status}: {answer[:200]!r}")
            offer = json.loads(answer)["offer"]
            if offer is not None:
                self._take(json.loads(base64.b64decode(offer["payload"])))

    def _take(self, offer: dict[str, Any]) -> None:
        self._fleet.offered.setdefault(offer["revision"], []).append(time.perf_counter())
        ran = {"generation": offer["generation"], "digest": offer["digest"]}
        self._told = {
            "running": ran | {"revision": offer["revision"], "settled": True},
            "last_attempt": ran | {"outcome": "applied"},
        }


class Fleet:
    """All agents; `offered`: by revision, when each of them had the offer."""

    def __init__(self) -> None:
        self.offered: dict[int, list[float]] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def have(self, revision: int) -> bool:
        """Whether every agent was offered it. Raises what ended one."""
        for task in self.tasks:
            if task.done():
                task.result()
        return len(self.offered.get(revision, ())) == AGENTS


def main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # For the control plane too, which inherits it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, AGENTS + 500), hard), hard))
    with (
        tempfile.TemporaryDirectory(prefix="gatepost-bench-") as name,
        Stack(Path(name), api=GENEROUS, addresses={"mx1": "127.0.0.1"}) as stack,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        stack.start_control_plane()
        runner.run(_measure(stack))


async def _measure(stack: Stack) -> None:
    port, fleet = int(stack.url.rpartition(":")[2]), Fleet()
    ticket = stack.client.enrollment_tokens.create(uses=AGENTS)["token"]
    began = time.perf_counter()
    lines = await _enroll(port, ticket)
    print(f"{AGENTS} agents enrolled in {time.perf_counter() - began:.0f} s", flush=True)
    pid = stack.programs["control-plane"].pid
    # The pauses of this process must not be taken for the control plane's.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        await _come(stack, fleet, lines)
        for number in range(1, PUBLISHES + 1):
            await _publish(stack, fleet, number)
        print(f"control plane at its peak: {memory(pid, 'VmHWM') / 2**20:.0f} MB")
    finally:
        for task in fleet.tasks:
            task.cancel()
        await asyncio.gather(*fleet.tasks, return_exceptions=True)
        for line in lines:
            line.close()


async def _enroll(port: int, ticket: str) -> list[Line]:
    numbers, lines = iter(range(AGENTS)), []

    async def some() -> None:
        line = Line(port, "none")
        for number in numbers:
            request = {"token": ticket, "public_key": Signer(new_seed()).public.text, "name": f"mx{number}"}
            status, answer = await line.ask("POST", "/agent/v1/enroll", json.dumps(request).encode())
            if status != 201:
                raise AssertionError(f"enrolment was answered {status}: {answer[:200]!r}")
            lines.append(Line(port, json.loads(answer)["agent_token"]))
        line.close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(ENROLLING):
            tasks.create_task(some())
    return lines


async def _come(stack: Stack, fleet: Fleet, lines: list[Line]) -> None:
    """All agents at once, as after a control plane's restart that none was told of."""
    looking = Line(lines[0].port, stack.token)

    async def parked() -> bool:
        found = PARKED.search((await looking.ask("GET", "/metrics"))[1])
        return found is not None and int(found[1]) == AGENTS

    others = Others(stack)
    others.start()
    began = time.perf_counter()
    for number, line in enumerate(lines):
        fleet.tasks.append(asyncio.create_task(Agent(number, line, fleet).live(), name=f"agent {number}"))
    waits: bool = await eventually(parked, PATIENCE_S, what="every agent waits")
    took = time.perf_counter() - began
    assert waits
    print(f"all agents wait after {took:.2f} s; {await asyncio.to_thread(others.end)}", flush=True)
    looking.close()


async def _publish(stack: Stack, fleet: Fleet, number: int) -> None:
    """Publish once; what the fleet and others saw of it."""
    document = load_document(_DOCUMENT % number).model_dump(mode="json", exclude_defaults=True)
    saved = await asyncio.to_thread(stack.client.draft.replace, document)

    others = Others(stack)
    others.start()
    began = time.perf_counter()
    made = await asyncio.to_thread(stack.client.revisions.publish, saved.etag)
    answered, revision = time.perf_counter() - began, int(made["number"])
    await eventually(lambda: fleet.have(revision), PATIENCE_S, what="every agent has the offer")
    rollout = await asyncio.to_thread(stack.client.rollouts.get, revision, wait_s=PATIENCE_S)
    assert rollout["state"] == "succeeded", rollout
    ran = time.perf_counter() - began
    fared = await asyncio.to_thread(others.end)
    had = sorted(at - began for at in fleet.offered[revision])
    print(
        f"publish {number}: answered after {answered:.2f} s; offers delivered p50 {had[len(had) // 2]:.2f}, "
        f"p99 {had[int(len(had) * 0.99)]:.2f}, last {had[-1]:.2f} s; all known to run after {ran:.2f} s; {fared}",
        flush=True,
    )


class Others(threading.Thread):
    """Another client of the API, on a thread of its own: a small listing, again and again."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(name="others")
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", int(stack.url.rpartition(":")[2]), timeout=60
        )
        self._headers = {"Authorization": f"Bearer {stack.token}"}
        self._stopping = threading.Event()
        self.seconds: list[float] = []

    def run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            began = time.perf_counter()
            self._connection.request("GET", "/v1/connectors", headers=self._headers)
            answer = self._connection.getresponse()
            answer.read()
            if answer.status == 200:
                self.seconds.append(time.perf_counter() - began)

    def end(self) -> str:
        self._stopping.set()
        self.join()
        self._connection.close()
        ms = sorted(1000 * taken for taken in self.seconds)
        median, p99 = ms[len(ms) // 2], ms[int(len(ms) * 0.99)]
        return f"{len(ms)} other requests: median {median:.0f}, p99 {p99:.0f}, worst {ms[-1]:.0f} ms"


if __name__ == "__main__":
    main()
