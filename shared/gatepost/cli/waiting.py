"""Waiting until servers run a revision: with a progress display for people, and always with an end.

Running is done: "applied" and `--wait` mean that the listeners hold the config and answer; settled comes after.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from rich.live import Live
from rich.table import Table
from rich.text import Text

from gatepost.cli.answers import console
from gatepost.cli.exits import Exit
from gatepost.cli.tables import cell
from gatepost.client import Client, Record, Unreachable
from gatepost.printable import printable

LOOK_S = 2.0  # how long one question may wait for an answer that decides
AGAIN_S = 1.0  # after an answer that did not come
NAMED = 100  # the API names so many servers
SHOWN = 12
DONE = ("running", "settled")
Show = Callable[[Record, str], None]


class Patience(NamedTuple):
    """timeout_s: when to stop waiting. allow_unreachable: how many servers may be not heard of."""

    timeout_s: float
    allow_unreachable: int = 0


class Waited(NamedTuple):
    """How the waiting ended, and how the revision was getting on then."""

    exit: Exit
    rollout: Record

    def as_data(self) -> dict[str, Any]:
        return {"outcome": OUTCOMES[self.exit], **self.rollout}


OUTCOMES = {
    Exit.DONE: "running",
    Exit.ROLLED_BACK: "failed",
    Exit.STALE: "superseded",
    Exit.TIMED_OUT: "timed_out",
    Exit.SERVERS_UNREACHABLE: "servers_unreachable",
}


def judge(rollout: Record, patience: Patience) -> Exit | None:
    """How it ended, or None while servers are still on their way. A failure ends it at once."""
    decided = {"failed": Exit.ROLLED_BACK, "superseded": Exit.STALE, "succeeded": Exit.DONE}
    if rollout["state"] != "progressing":
        return decided[rollout["state"]]
    missing = len(rollout["unreachable"])
    if len(rollout["waiting_for"]) > missing or missing >= NAMED:
        return None
    return Exit.DONE if missing <= patience.allow_unreachable else Exit.SERVERS_UNREACHABLE


def wait(
    client: Client, revision: int, patience: Patience, show: Show = lambda _rollout, _remark: None
) -> Waited:
    """Ask until it is decided or the time is over. A control plane that is away for a moment is waited for too."""
    deadline = time.monotonic() + patience.timeout_s
    rollout = client.rollouts.get(revision)
    while True:
        ended = judge(rollout, patience)
        left = deadline - time.monotonic()
        if ended is not None or left <= 0:
            return Waited(Exit.TIMED_OUT if ended is None else ended, rollout)
        show(rollout, "")
        try:
            rollout = client.rollouts.get(revision, wait_s=max(1.0, min(LOOK_S, left)))
        except Unreachable as error:
            if time.monotonic() + AGAIN_S >= deadline:
                raise
            show(rollout, str(error))
            time.sleep(AGAIN_S)


@contextmanager
def shown(*, quiet: bool) -> Iterator[Show]:
    """A display on stderr that follows the waiting: live on a terminal, a line for each change elsewhere."""
    out = console(stderr=True)
    if quiet:
        yield lambda _rollout, _remark: None
    elif out.is_terminal:
        with Live(console=out, refresh_per_second=4, transient=True) as live:
            yield lambda rollout, remark: live.update(picture(rollout, remark))
    else:
        said: list[str] = []

        def tell(rollout: Record, remark: str) -> None:
            line = remark or summary(rollout)
            if said[-1:] != [line]:
                said[:] = [line]
                out.print(line, soft_wrap=True)

        yield tell


def summary(rollout: Record) -> str:
    """`2 of 3 running, 1 offered; waits for mx3 (not heard of)`"""
    rest = [f"{number} {state}" for state, number in sorted(rollout["servers"].items()) if state not in DONE]
    parts = [", ".join([f"{_done(rollout)} of {_total(rollout)} running", *rest])]
    parts += [f"{printable(name)} {why}" for name, why in _failures(rollout)]
    waiting = [f"{printable(name)}{_absence(rollout, name)}" for name in rollout["waiting_for"]]
    if waiting:
        more = f" and {len(waiting) - SHOWN} more" if waiting[SHOWN:] else ""
        parts.append(f"waits for {', '.join(waiting[:SHOWN])}{more}")
    return "; ".join(parts)


def picture(rollout: Record, remark: str) -> Table:
    """The same as a small table: a bar, then who is not there yet and why."""
    done, total = _done(rollout), _total(rollout)
    filled = 30 * done // max(1, total)
    grid = Table.grid(padding=(0, 2))
    bar = Text("━" * filled, "green") + Text("━" * (30 - filled), "dim")
    grid.add_row(bar, f"{done} of {total} running")
    for state, number in sorted(rollout["servers"].items()):
        if state not in DONE:
            grid.add_row(cell(state), str(number))
    for name, why in _failures(rollout):
        grid.add_row(Text(printable(name)), Text(why, "red"))
    for name in rollout["waiting_for"][:SHOWN]:
        grid.add_row(Text(printable(name)), f"on its way{_absence(rollout, name)}")
    if remark:
        grid.add_row("", Text(printable(remark), "yellow"))
    return grid


def _done(rollout: Record) -> int:
    return sum(rollout["servers"].get(state, 0) for state in DONE)


def _total(rollout: Record) -> int:
    return sum(rollout["servers"].values())


def _absence(rollout: Record, name: str) -> str:
    return " (not heard of)" if name in rollout["unreachable"] else ""


def _failures(rollout: Record) -> list[tuple[str, str]]:
    listed = rollout["failures"][:SHOWN]
    return [
        (str(f["server"]), f"{f['state']}: {printable(f['reason']) or 'no reason given'}") for f in listed
    ]
