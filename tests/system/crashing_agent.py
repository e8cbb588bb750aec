"""An agent that ends itself by SIGKILL at a fault point of spool or control: `crashing_agent POINT N`.

It dies the N-th time that it passes the point after it began to serve.
"""

import os
import signal
import sys
from typing import Any

from gatepost_agent.daemon import Options, run
from gatepost_agent.settings import load_settings
from gatepost_agent.spool.spool import Spool

_open = Spool.open


class Killer:
    """The hook of both."""

    def __init__(self, point: str, times: int) -> None:
        self._point = point
        self._left = times
        self.is_armed = False

    def arm(self) -> None:
        self.is_armed = True

    def __call__(self, point: str) -> None:
        if self.is_armed and point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


killer = Killer(sys.argv[1], int(sys.argv[2]))


async def _open_with_fault(*values: Any, **options: Any) -> Spool:
    return await _open(*values, **options, fault=killer)


Spool.open = _open_with_fault  # type: ignore[method-assign]
run(load_settings(os.environ, {}), Options(fault=killer, ready=killer.arm))
