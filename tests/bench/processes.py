"""What a process costs, read from /proc (Linux): memory in octets, processor time in seconds."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = (
        word
        for task in Path(f"/proc/{pid}/task").iterdir()
        for word in (task / "children").read_text().split()
    )
    return [pid, *(member for child in children for member in family(int(child)))]


def memory(pid: int, what: str = "VmRSS") -> int:
    """Resident memory now, or at its peak (`VmHWM`)."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def peak(pids: Iterable[int]) -> int:
    """Sum of the peaks of resident memory."""
    return sum(memory(pid, "VmHWM") for pid in pids)


def processor_s(pid: int) -> float:
    """Of the process, its living descendants, and those that ended and were waited for."""
    total = 0
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return total / _TICKS
