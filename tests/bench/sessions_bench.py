"""What others notice: memory with 1,000 idle sessions, the loop's lag, small mail beside large, time in commits.

`BENCH_SESSIONS` (1000), `BENCH_SCALE` (1: 30 MB from each of 20 senders).
"""

import os
import resource
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from deploy.demo.processes import free_port
from gatepost_agent.local.client import ask
from tests.bench import postfix
from tests.bench.postfix import SOURCE, Sink
from tests.bench.processes import memory
from tests.bench.relay_bench import relaying
from tests.support.waiting import wait_until

SESSIONS = int(os.environ.get("BENCH_SESSIONS", "1000"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
LARGE = int(30 * 2**20 * SCALE)
SENDERS = 20
MESSAGE = b"Subject: small\r\n\r\n" + b"The quick brown fox jumps over the lazy dog.\r\n" * 85 + b".\r\n"
ENOUGH = 2000  # small messages for a 99th percentile that says something
QUIET_S = 0.01  # between two looks at the loop


class Client:
    """One kept-open session that takes the time of each answer."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read()
        self.say(b"EHLO bench\r\n")

    def _read(self) -> bytes:
        reply = b""
        while not reply.endswith(b"\n") or reply.rpartition(b"\r\n")[0].rpartition(b"\n")[2][3:4] == b"-":
            got = self._socket.recv(65536)
            if not got:
                raise ConnectionError("the agent closed the session")
            reply += got
        return reply

    def say(self, line: bytes) -> float:
        """Seconds until it is answered."""
        began = time.perf_counter()
        self._socket.sendall(line)
        reply = self._read()
        if reply[:1] not in b"23":
            raise ConnectionError(f"{line[:40]!r} was answered {reply!r}")
        return time.perf_counter() - began

    def send(self) -> float:
        """Seconds for a whole small message, up to its 250."""
        lines = (b"MAIL FROM:<bench@contoso.com>\r\n", b"RCPT TO:<to@fabrikam.com>\r\n", b"DATA\r\n", MESSAGE)
        return sum(self.say(line) for line in lines)

    def close(self) -> None:
        self._socket.close()


class Times(NamedTuple):
    """Of many answers, in milliseconds."""

    median: float
    p99: float
    worst: float

    def __str__(self) -> str:
        return f"median {self.median:.1f}, p99 {self.p99:.1f}, worst {self.worst:.1f} ms"


def times(seconds: list[float]) -> Times:
    ordered = sorted(1000 * s for s in seconds)
    return Times(statistics.median(ordered), ordered[int(len(ordered) * 0.99)], ordered[-1])


class Watch(threading.Thread):
    """Says NOOP again and again: an answer is as late as the event loop, and as our own turn on the processor."""

    def __init__(self, port: int) -> None:
        super().__init__(name="watch")
        self.seconds: list[float] = []
        self._client = Client(port)
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self.seconds or not self._stopping.wait(QUIET_S):
            self.seconds.append(self._client.say(b"NOOP\r\n"))

    def end(self) -> Times:
        self._stopping.set()
        self.join()
        self._client.close()
        return times(self.seconds)


@contextmanager
def watched(port: int, what: str) -> Iterator[None]:
    watch = Watch(port)
    watch.start()
    try:
        yield
    finally:
        print(f"answers to NOOP {what}: {watch.end()}", flush=True)


def small_mail(port: int, enough: Callable[[int], bool]) -> Times:
    """One small message after another on one session."""
    client = Client(port)
    seconds: list[float] = []
    while not enough(len(seconds)):
        seconds.append(client.send())
    client.close()
    return times(seconds)


def main() -> None:
    """Raises postfix.Missing."""
    postfix.require()
    with tempfile.TemporaryDirectory(prefix="gatepost-bench-") as name:
        root = Path(name)
        root.chmod(0o755)
        sink = Sink(free_port("127.0.0.1"), root / "sink.log")
        try:
            with relaying(root / "agent", sink.port) as (port, pid):
                _idle(port, pid)
                _beside_large(sink, port, pid)
                _saturated(sink, port, root / "agent" / "mx1")
                print(f"memory at its peak: {memory(pid, 'VmHWM') / 2**20:.0f} MB")
        finally:
            sink.close()


def _idle(port: int, pid: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, SESSIONS + 200), hard), hard))
    before = memory(pid)
    with ExitStack() as open_, watched(port, f"while {SESSIONS} sessions come and lie idle"):
        for _ in range(SESSIONS):
            open_.callback(Client(port).close)
        after = memory(pid)
    each = (after - before) / SESSIONS / 1024
    print(
        f"memory: {before / 2**20:.0f} MB, with {SESSIONS} idle sessions {after / 2**20:.0f} MB ({each:.1f} KB each)"
    )


def _beside_large(sink: Sink, port: int, pid: int) -> None:
    alone = small_mail(port, lambda sent: sent >= ENOUGH)
    print(f"small mail alone: {alone}", flush=True)
    arrived = sink.count()
    words = ["-s", str(SENDERS), "-m", str(SENDERS), "-l", str(LARGE), "-f", "bench@contoso.com"]
    command = [str(SOURCE), *words, "-t", "to@fabrikam.com", f"127.0.0.1:{port}"]
    with watched(port, f"beside {SENDERS} senders of {LARGE / 2**20:.0f} MB"):
        load = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        beside = small_mail(port, lambda _: load.poll() is not None)
    print(f"small mail beside them: {beside}; p99 is {beside.p99 / alone.p99:.1f} times as long (goal: 5)")
    print(f"memory then: {memory(pid) / 2**20:.0f} MB; smtp-source ended with {load.wait()}")
    wait_until(lambda: sink.count() > arrived, timeout=60, what="large mail at the sink")


def _saturated(sink: Sink, port: int, state: Path) -> None:
    def figures() -> tuple[float, float]:
        [row] = ask(state, "status")
        return float(row["queue"]["transactions"]), float(row["queue"]["commit_s"])

    messages = max(100, int(4000 * SCALE))
    (groups, spent), began = figures(), time.perf_counter()
    with watched(port, "at saturation"):
        rate = postfix.timed(sink, port, messages=messages, sessions=20, octets=4096, keep_open=True)
    after, spent_after = figures()
    count, seconds = after - groups, spent_after - spent
    print(
        f"at saturation: {rate:.0f} messages/s; {count:.0f} transactions of {2 * messages / count:.1f} changes, "
        f"{1000 * seconds / count:.2f} ms each, {100 * seconds / (time.perf_counter() - began):.0f}% of the time"
    )


if __name__ == "__main__":
    main()
