"""Who listens on a port, where /proc tells: an operator wants the name, not «address already in use»."""

import os
from collections.abc import Iterator
from pathlib import Path

_LISTEN = "0A"


def port_holder(port: int, proc: Path = Path("/proc")) -> str:
    """`postfix/master (pid 812)`, or "" where nothing can be seen. Reads all of /proc: not on the event loop."""
    inodes = {f"socket:[{inode}]" for inode in _listening(port, proc)}
    if not inodes:
        return ""
    for pid in _pids(proc):
        if _holds(proc / pid / "fd", inodes):
            return f"{_name(proc / pid)} (pid {pid})"
    return ""


def _listening(port: int, proc: Path) -> Iterator[str]:
    """Inodes of the sockets that listen on a port of any address."""
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _pids(proc: Path) -> list[str]:
    try:
        return [name for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return []


def _holds(folder: Path, inodes: set[str]) -> bool:
    try:
        return any(os.readlink(folder / name) in inodes for name in os.listdir(folder))
    except OSError:  # gone meanwhile, or another user's
        return False


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip() or "a process"
    except OSError:
        return "a process"
