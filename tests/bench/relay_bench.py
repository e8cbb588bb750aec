"""The relay end to end against Postfix: smtp-source -> X -> smtp-sink, X in turn, fsync before 250 on the same disk.

Prints medians and the ratio of each load, peak memory and syncs per message. `BENCH_PAIRS` (5), `BENCH_SCALE` (1).
"""

import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from deploy.demo.processes import free_port
from deploy.demo.stack import Stack
from tests.bench import postfix
from tests.bench.postfix import Sink
from tests.bench.processes import family, peak, processor_s

PAIRS = int(os.environ.get("BENCH_PAIRS", "5"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))

_DOCUMENT = """
accepted_domains: [{{domain: contoso.com}}]
connectors:
  - name: Bench
    bindings: ["127.0.0.1:{port}"]
    remote_ip_ranges: [127.0.0.1]
    permission_groups: [AnonymousUsers]
    permissions: [{{principal: S-1-5-7, rights: [ms-Exch-SMTP-Accept-Any-Recipient]}}]
    max_inbound_connection: unlimited
    max_inbound_connection_per_source: unlimited
send_connectors:
  - {{name: Sink, address_spaces: ["*"], smart_hosts: ["127.0.0.1:{sink}"], tls_policy: none}}
"""


class Side(NamedTuple):
    """One of the two: where it listens, and its (first) process."""

    port: int
    pid: int


class Run(NamedTuple):
    """Messages a second, and what each cost on the processor: the second is less a matter of who else is there."""

    per_s: float
    cost_ms: float


class Load(NamedTuple):
    """One kind of traffic, and the floor of its ratio (design section 8; 0: none is set)."""

    name: str
    messages: int
    octets: int
    keep_open: bool
    recipients: int = 1
    floor: float = 0.0

    def measure(self, sink: Sink, side: Side) -> Run:
        before = processor_s(side.pid)
        per_s = self.run(sink, side.port)
        return Run(per_s, (processor_s(side.pid) - before) / self.number * 1000)

    @property
    def number(self) -> int:
        return max(20, int(self.messages * SCALE))

    def run(self, sink: Sink, port: int) -> float:
        messages = self.number
        return postfix.timed(
            sink, port, messages=messages, sessions=20, octets=self.octets, keep_open=self.keep_open,
            recipients=self.recipients,
        )  # fmt: skip


LOADS = (
    Load("4 KB, sessions kept open", 4000, 4096, keep_open=True, floor=2.5),
    Load("4 KB, a connection each", 3000, 4096, keep_open=False, floor=1.5),
    Load("4 KB, 20 recipients", 1500, 4096, keep_open=True, recipients=20),
    Load("100 KB messages", 1500, 102400, keep_open=True, floor=1.2),
    Load("10 MB messages", 40, 10485760, keep_open=True),
)


@contextmanager
def relaying(folder: Path, sink: int) -> Iterator[tuple[int, int]]:
    """An agent that relays to the sink: its port and its process id."""
    folder.mkdir()
    with Stack(folder, addresses={"mx1": "127.0.0.1"}) as stack:
        stack.start_control_plane()
        stack.enroll("mx1")
        program = stack.start_agent("mx1")
        stack.publish(_DOCUMENT.format(port=stack.port, sink=sink))
        yield stack.port, program.pid


def _syncs(pid: int, sink: Sink, port: int) -> float | None:
    """fsync and fdatasync calls for each message, counted by strace; None where it is not on this machine."""
    strace = shutil.which("strace")
    if strace is None:
        return None
    with tempfile.NamedTemporaryFile("r") as report:
        pids = [word for one in family(pid) for word in ("-p", str(one))]
        command = [strace, "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", report.name, *pids]
        watcher = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            LOADS[0]._replace(messages=1000).run(sink, port)
        finally:
            watcher.terminate()
            watcher.wait(20)
        calls = sum(int(row.split()[3]) for row in report.read().splitlines() if "sync" in row)
    return calls / max(20, int(1000 * SCALE))


def main() -> None:
    """Run every load over alternating pairs. Raises postfix.Missing."""
    postfix.require()
    with tempfile.TemporaryDirectory(prefix="gatepost-bench-") as name:
        root = Path(name)
        root.chmod(0o755)
        sink = Sink(free_port("127.0.0.1"), root / "sink.log")
        port = free_port("127.0.0.1")
        try:
            with (
                postfix.peer(root / "peer", port, sink.port),
                relaying(root / "agent", sink.port) as (own, pid),
            ):
                master = postfix.master_pid(root / "peer")
                _compare(sink, Side(own, pid), Side(port, master))
                _weigh(sink, Side(own, pid), Side(port, master))
        finally:
            sink.close()


def _compare(sink: Sink, own: Side, peer: Side) -> None:
    print(
        f"{'load':28} {'gatepost/s':>11} {'postfix/s':>11} {'ratio':>7} {'floor':>6}   {'processor ms a message':>22}"
    )
    for load in LOADS:
        pairs = [(load.measure(sink, own), load.measure(sink, peer)) for _ in range(PAIRS)]
        ours, theirs = (statistics.median(run.per_s for run in side) for side in zip(*pairs, strict=True))
        costs = [statistics.median(run.cost_ms for run in side) for side in zip(*pairs, strict=True)]
        ratio = statistics.median(a.per_s / b.per_s for a, b in pairs)
        print(
            f"{load.name:28} {ours:11.0f} {theirs:11.0f} {ratio:6.2f}x {load.floor or '':>6}"
            f"   {costs[0]:10.2f} v {costs[1]:9.2f}",
            flush=True,
        )


def _weigh(sink: Sink, own: Side, peer: Side) -> None:
    ours, theirs = peak([own.pid]), peak(family(peer.pid))
    print(f"peak memory: gatepost {ours / 2**20:.0f} MB, postfix {theirs / 2**20:.0f} MB")
    for name, side in (("gatepost", own), ("postfix", peer)):
        syncs = _syncs(side.pid, sink, side.port)
        print(f"syncs per message, {name}: {'strace is not here' if syncs is None else f'{syncs:.2f}'}")


if __name__ == "__main__":
    main()
