"""An agent that kills itself with SIGKILL at one step of an apply: `python faulty_agent.py POINT GENERATION`."""

import os
import signal
import sys

from gatepost.wire import Offer
from gatepost_agent.control.store import ConfigFile, Store
from gatepost_agent.daemon import Options, run
from gatepost_agent.settings import load_settings

point, generation = sys.argv[1], int(sys.argv[2])
tried: list[int] = []
_add = Store.add


def _noting(self: Store, offer: Offer, file: ConfigFile) -> str:
    tried.append(offer.generation)
    return _add(self, offer, file)


Store.add = _noting  # type: ignore[method-assign]


def fault(passed: str) -> None:
    if passed == point and generation in tried:
        os.kill(os.getpid(), signal.SIGKILL)


run(load_settings(os.environ, {}), Options(fault=fault))
