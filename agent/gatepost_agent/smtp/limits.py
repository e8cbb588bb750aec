"""What this host can bear: sessions below the file limit, with a reserve for everything else."""

import resource
from typing import NamedTuple

RESERVE = 64
"""Descriptors kept for listeners, spool, body files, delivery, control plane and logs, at the least."""


class Caps(NamedTuple):
    """sessions: what `Usage.session_cap` says. accepted: above it connections wait in the kernel's queue, so that
    even refusals cannot use up the reserve. deliveries: connections to next hops, out of the reserve."""

    sessions: int
    accepted: int
    deliveries: int


def caps(open_files: int) -> Caps:
    """Caps under a limit of open files: an eighth, and at least RESERVE, is kept back."""
    reserve = min(max(RESERVE, open_files // 8), open_files // 2)
    sessions = max(open_files - reserve, 1)
    return Caps(sessions, sessions + reserve // 4, reserve // 4)


def open_file_limit() -> int:
    """The process's limit, raised to what it may raise it to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft != resource.RLIM_INFINITY and soft < ceiling:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
        return ceiling
    return ceiling if soft == resource.RLIM_INFINITY else soft
