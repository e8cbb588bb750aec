"""Waiting until servers run what is published: with a progress display for people, and always with an end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from rich.live import Live
from rich.table import Table
from rich.text import Text

from gatepost.cli.answers import console
from gatepost.cli.exits import Exit
from gatepost.cli.standing import Fleet, Standing, fleet, standing, why
from gatepost.client import Client, Unreachable

PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
CALM = 9  # asking about a large fleet takes time: not more than a tenth of it is spent on that
SHOWN_SERVERS = 12
Show = Callable[[Fleet, str], None]


class Patience(NamedTuple):
    """timeout_s: when to stop waiting. allow_unreachable: how many servers may be not heard of."""

    timeout_s: float
    allow_unreachable: int = 0


class Waited(NamedTuple):
    """How the waiting ended."""

    exit: Exit
    fleet: Fleet

    def as_data(self) -> dict[str, Any]:
        return {"outcome": _OUTCOMES[self.exit], **self.fleet.as_data()}


_OUTCOMES = {
    Exit.DONE: "running",
    Exit.ROLLED_BACK: "failed",
    Exit.TIMED_OUT: "timed_out",
    Exit.SERVERS_UNREACHABLE: "unreachable_servers",
}


def judge(found: Fleet, patience: Patience) -> Exit | None:
    """How it ended, or None while servers are still on their way. A failure ends it at once."""
    if found.names(Standing.FAILED, Standing.STUCK):
        return Exit.ROLLED_BACK
    if found.waiting:
        return None
    missing = len(found.names(Standing.OFFLINE))
    return Exit.DONE if missing <= patience.allow_unreachable else Exit.SERVERS_UNREACHABLE


def wait(client: Client, patience: Patience, show: Show = lambda _fleet, _remark: None) -> Waited:
    """Ask until it is decided or the time is over. A control plane that is away for a moment is waited for too."""
    deadline = time.monotonic() + patience.timeout_s
    found, took_s = _asked(client)
    while True:
        ended = judge(found, patience)
        if ended is not None:
            return Waited(ended, found)
        if time.monotonic() >= deadline:
            return Waited(Exit.TIMED_OUT, found)
        show(found, "")
        pause_s = min(max(PAUSE_S, took_s * CALM), LONGEST_PAUSE_S)
        time.sleep(min(pause_s, max(0.0, deadline - time.monotonic())))
        try:
            found, took_s = _asked(client)
        except Unreachable as error:
            if time.monotonic() >= deadline:
                raise
            show(found, str(error))


def _asked(client: Client) -> tuple[Fleet, float]:
    """The fleet, and how many seconds it took to hear of it."""
    began = time.monotonic()
    return fleet(client.servers.list(state="active")), time.monotonic() - began


@contextmanager
def shown(*, quiet: bool) -> Iterator[Show]:
    """A display on stderr that follows the waiting: live on a terminal, a line per change elsewhere."""
    out = console(stderr=True)
    if quiet:
        yield lambda _fleet, _remark: None
    elif out.is_terminal:
        with Live(console=out, refresh_per_second=4, transient=True) as live:
            yield lambda found, remark: live.update(picture(found, remark))
    else:
        said: list[str] = []

        def tell(found: Fleet, remark: str) -> None:
            line = remark or summary(found)
            if said[-1:] != [line]:
                said[:] = [line]
                out.print(line, soft_wrap=True)

        yield tell


def summary(found: Fleet) -> str:
    """`2 of 3 running; mx3: offered, generation 7`"""
    done = len(found.names(Standing.DONE))
    rest = [
        f"{server['name']}: {why(server)}"
        for server in found.servers
        if standing(server) is not Standing.DONE
    ]
    told = "; ".join(rest[:SHOWN_SERVERS]) + (
        f"; and {len(rest) - SHOWN_SERVERS} more" if rest[SHOWN_SERVERS:] else ""
    )
    return f"{done} of {len(found.servers)} running" + (f"; {told}" if told else "")


def picture(found: Fleet, remark: str) -> Table:
    """The fleet as a small table: a bar, then who is not there yet and why."""
    done, total = len(found.names(Standing.DONE)), max(1, len(found.servers))
    filled = 30 * done // total
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        Text("━" * filled, "green") + Text("━" * (30 - filled), "dim"),
        f"{done} of {len(found.servers)} running",
    )
    rest = [server for server in found.servers if standing(server) is not Standing.DONE]
    for server in rest[:SHOWN_SERVERS]:
        grid.add_row(Text(str(server["name"])), Text(why(server)))
    if rest[SHOWN_SERVERS:]:
        grid.add_row("", f"and {len(rest) - SHOWN_SERVERS} more")
    if remark:
        grid.add_row("", Text(remark, "yellow"))
    return grid
