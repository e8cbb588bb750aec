"""Metrics as a text file for a node exporter: written by ourselves, replaced whole."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gatepost.wire import CounterSet, Health
from gatepost_agent.health import noteworthy


class Gauges(NamedTuple):
    """What is measured at one moment."""

    running_generation: int
    settled: bool
    health: Health
    queue: Mapping[str, float]
    counters: Iterable[CounterSet]
    denied_ranges: int
    control_plane_silent_s: float
    certificate_days: Mapping[str, float]


def rendered(gauges: Gauges) -> str:
    """The Prometheus text format."""
    return "".join(f"{line}\n" for line in _lines(gauges))


def write_metrics(path: Path, text: str) -> None:
    """Replace the file in one step. Raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def _lines(gauges: Gauges) -> Iterator[str]:
    yield from _gauge(
        "gatepost_agent_running_generation", gauges.running_generation, "The generation that runs."
    )
    yield from _gauge("gatepost_agent_settled", int(gauges.settled), "1 once its probation is over.")
    level = {"ok": 0, "degraded": 1, "failing": 2}[gauges.health.status]
    yield from _gauge("gatepost_agent_health", level, "0 ok, 1 degraded, 2 failing.")
    yield "# TYPE gatepost_agent_condition gauge"
    for condition in noteworthy(gauges.health):
        yield f'gatepost_agent_condition{{type="{_label(condition.type)}"}} 1'
    yield from _gauge("gatepost_agent_denied_ranges", gauges.denied_ranges, "Ranges denied on this host.")
    yield from _gauge(
        "gatepost_agent_control_plane_silent_seconds",
        gauges.control_plane_silent_s,
        "Since the control plane was heard.",
    )
    yield "# HELP gatepost_agent_certificate_days Until a certificate in use expires."
    yield "# TYPE gatepost_agent_certificate_days gauge"
    for name, days in gauges.certificate_days.items():
        yield f'gatepost_agent_certificate_days{{certificate="{_label(name)}"}} {days:.2f}'
    for name, value in gauges.queue.items():
        yield from _gauge(f"gatepost_agent_queue_{name}", value, "Of the spool.")
    yield from _counters(gauges.counters)


def _gauge(name: str, value: float, told: str) -> Iterator[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} gauge"
    yield f"{name} {value:g}" if value < 1e6 else f"{name} {value:.0f}"


def _counters(sets: Iterable[CounterSet]) -> Iterator[str]:
    """Totals of the process that runs, and of the spool: what a restart begins anew Prometheus knows to handle."""
    yield "# HELP gatepost_agent_events_total What happened, by connector."
    yield "# TYPE gatepost_agent_events_total counter"
    totals: dict[tuple[str, str], int] = {}
    for counted in sets:
        if counted.closed:
            continue
        for connector, events in counted.totals.items():
            for event, total in events.items():
                totals[connector, event] = totals.get((connector, event), 0) + total
    for (connector, event), total in sorted(totals.items()):
        labels = f'connector="{_label(connector)}",event="{_label(event)}"'
        yield f"gatepost_agent_events_total{{{labels}}} {total}"


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
