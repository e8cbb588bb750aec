"""Metrics: the text format, escaped, replaced whole."""

import stat
from pathlib import Path

from gatepost.wire import CounterSet
from gatepost_agent.health import Conditions, Finding
from gatepost_agent.metrics import Gauges, rendered, write_metrics


def _gauges() -> Gauges:
    return Gauges(
        running_generation=42,
        settled=True,
        health=Conditions().health([Finding("SpoolFull", "NoRoom")], 42),
        queue={"messages": 3, "oldest_s": 12.5},
        counters=[
            CounterSet(incarnation="spool-incarnation", totals={'Relay "A"\n': {"accepted": 5}}),
            CounterSet(incarnation="this-process", totals={'Relay "A"\n': {"sessions": 2}}),
            CounterSet(incarnation="an-older-process", totals={'Relay "A"\n': {"sessions": 9}}, closed=True),
        ],
        denied_ranges=1,
        control_plane_silent_s=4.2,
        certificate_days={"mx1": 13.5},
    )


def test_what_a_scraper_reads() -> None:
    lines = rendered(_gauges()).splitlines()
    assert "gatepost_agent_running_generation 42" in lines
    assert "gatepost_agent_health 2" in lines
    assert 'gatepost_agent_condition{type="SpoolFull"} 1' in lines
    assert "gatepost_agent_queue_oldest_s 12.5" in lines
    assert 'gatepost_agent_certificate_days{certificate="mx1"} 13.50' in lines
    assert r'gatepost_agent_events_total{connector="Relay \"A\"\n",event="sessions"} 2' in lines
    assert r'gatepost_agent_events_total{connector="Relay \"A\"\n",event="accepted"} 5' in lines


def test_large_numbers_stay_exact() -> None:
    gauges = _gauges()._replace(queue={"bytes": 12_345_678_901.0})
    assert "gatepost_agent_queue_bytes 12345678901" in rendered(gauges).splitlines()


def test_the_file_is_replaced_and_can_be_read_by_the_exporter(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.prom"
    write_metrics(path, "one\n")
    write_metrics(path, "two\n")
    assert path.read_text(encoding="utf-8") == "two\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["gatepost.prom"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
