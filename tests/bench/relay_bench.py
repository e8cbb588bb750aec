"""The relay end to end against Postfix: smtp-source -> X -> smtp-sink, X in turn, fsync before 250 on the same disk.

Prints medians and the ratio of each load, peak memory and syncs per message. `BENCH_PAIRS` (5), `BENCH_SCALE` (1).
"""

import os
import re
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


class Load(NamedTuple):
    """One kind of traffic, and the floor of its ratio (design section 8; 0: none is set)."""

    name: str
    messages: int
    octets: int
    keep_open: bool
    recipients: int = 1
    floor: float = 0.0

    def run(self, sink: Sink, port: int) -> float:
        messages = max(20, int(self.messages * SCALE))
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
def _agent(folder: Path, sink: int) -> Iterator[tuple[int, int]]:
    """An agent that relays to the sink: its port and its process id."""
    folder.mkdir()
    with Stack(folder, addresses={"mx1": "127.0.0.1"}) as stack:
        stack.start_control_plane()
        stack.enroll("mx1")
        program = stack.start_agent("mx1")
        stack.publish(_DOCUMENT.format(port=stack.port, sink=sink))
        yield stack.port, program.pid


def _peak(pids: list[int]) -> int:
    """Sum of the peak resident memory of processes, in octets."""
    total = 0
    for pid in pids:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        total += int(found[1]) * 1024 if found else 0
    return total


def _family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = (
        word
        for task in Path(f"/proc/{pid}/task").iterdir()
        for word in (task / "children").read_text().split()
    )
    return [pid, *(member for child in children for member in _family(int(child)))]


def _syncs(pid: int, sink: Sink, port: int) -> float | None:
    """fsync and fdatasync calls for each message, counted by strace; None where it is not on this machine."""
    strace = shutil.which("strace")
    if strace is None:
        return None
    with tempfile.NamedTemporaryFile("r") as report:
        pids = [word for one in _family(pid) for word in ("-p", str(one))]
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
                _agent(root / "agent", sink.port) as (own, pid),
            ):
                _compare(sink, own, port)
                _weigh(root / "peer", pid, sink, own, port)
        finally:
            sink.close()


def _compare(sink: Sink, own: int, peer: int) -> None:
    print(f"{'load':28} {'gatepost/s':>11} {'postfix/s':>11} {'ratio':>7} {'floor':>6}")
    for load in LOADS:
        pairs = [(load.run(sink, own), load.run(sink, peer)) for _ in range(PAIRS)]
        ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{load.name:28} {ours:11.0f} {theirs:11.0f} {ratio:6.2f}x {load.floor or '':>6}", flush=True)


def _weigh(folder: Path, pid: int, sink: Sink, own: int, port: int) -> None:
    master = postfix.master_pid(folder)
    print(
        f"peak memory: gatepost {_peak([pid]) / 2**20:.0f} MB, postfix {_peak(_family(master)) / 2**20:.0f} MB"
    )
    for name, process, at in (("gatepost", pid, own), ("postfix", master, port)):
        syncs = _syncs(process, sink, at)
        print(f"syncs per message, {name}: {'strace is not here' if syncs is None else f'{syncs:.2f}'}")


if __name__ == "__main__":
    main()
