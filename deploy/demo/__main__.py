"""`make demo`: the main job from end to end on loopback, in a temporary folder; ends by itself with exit 0.

KEEP=1 leaves everything up until Ctrl-C, and prints where it is.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from rich.table import Table

from deploy.demo.processes import StackError
from deploy.demo.screen import Screen
from deploy.demo.stack import Stack
from deploy.demo.story import DemoFailed, Story
from gatepost.client import ClientError


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupted)
    out = Screen()
    folder = Path(tempfile.mkdtemp(prefix="gatepost-demo-"))
    try:
        return _play(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _play(folder: Path, out: Screen) -> int:
    began = time.monotonic()
    with Stack(folder) as stack:
        try:
            Story(stack, out).play()
            out.say("")
            out.good(f"all of it as it should be, in {time.monotonic() - began:.0f} s")
            if os.environ.get("KEEP", "0") not in ("", "0"):
                _keep(stack, out)
        except KeyboardInterrupt:
            out.say("\nstopped")
            return 130
        except (DemoFailed, StackError, ClientError, OSError) as error:
            _failed(stack, out, str(error))
            return 1
        except Exception as error:  # noqa: BLE001 - the last stop: nobody is shown a stack trace
            _failed(stack, out, f"{type(error).__name__}: {error}")
            return 1
    return 0


def _failed(stack: Stack, out: Screen, why: str) -> None:
    out.say("")
    out.bad(why)
    for name, program in stack.programs.items():
        out.say(f"  {name}: {program.last_words()[:200]}")


def _keep(stack: Stack, out: Screen) -> None:
    """Leave it up until somebody has seen enough."""
    out.section("Left up, until Ctrl-C")
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_row("control plane", f"{stack.url}   (/docs shows its API)")
    rows.add_row("admin token", f"{stack.token_file}   (mode 0600)")
    for agent in stack.agents.values():
        rows.add_row(f"SMTP of {agent.name}", f"{agent.address} port {agent.port}")
    rows.add_row("mail of the smart host", str(stack.mail))
    out.show(rows)
    out.say("")
    out.say(f'export GATEPOST_URL={stack.url} GATEPOST_TOKEN="$(cat {stack.token_file})"')
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        out.say("\nstopped")


def _interrupted(signum: int, frame: FrameType | None) -> None:
    del signum, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
