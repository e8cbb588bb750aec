"""`gatepost-agent` on a host that fails as the file `fault` in its state folder says: a circumstance's name.

python -m tests.system.faulty_host run --state-dir DIR
"""

import errno
import sys
from pathlib import Path

import apsw

from gatepost.policy.analysis.circumstances import Circumstance
from gatepost_agent.cli import main
from gatepost_agent.spool import receiving
from gatepost_agent.spool.changes import Change
from gatepost_agent.spool.disk import RealDisk
from gatepost_agent.spool.spool import Spool
from gatepost_agent.spool.store import Store

FAULT = Path(sys.argv[-1]) / "fault"

_free_bytes, _apply, _fill = RealDisk.free_bytes, Store.apply, Spool.fill


def _is(fault: Circumstance) -> bool:
    return FAULT.exists() and FAULT.read_text() == fault


def free_bytes(disk: RealDisk, folder: Path) -> int:
    if _is(Circumstance.DISK_TROUBLE):
        raise OSError(errno.EIO, "Input/output error")
    return 0 if _is(Circumstance.SPOOL_FULL) else _free_bytes(disk, folder)


def apply(store: Store, change: Change) -> None:
    if change.inserts and _is(Circumstance.NOT_STORED):
        raise apsw.IOError("disk I/O error")
    _apply(store, change)


def fill(spool: Spool) -> float:
    if _is(Circumstance.FAILURE):
        raise ArithmeticError("of the test")
    return _fill(spool)


RealDisk.free_bytes = free_bytes  # type: ignore[assignment,method-assign]
Store.apply = apply  # type: ignore[assignment,method-assign]
Spool.fill = fill  # type: ignore[assignment,method-assign]
receiving._FREE_HOLDS_S = 0.0
main()
