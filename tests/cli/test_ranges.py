"""Ranges with what they let in, and devices by when they were seen: from an agent's report to the listing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.wire import DeviceRow
from tests.cli.conftest import RELAY, Gatepost, Plane
from tests.support.control_plane import DOCUMENT

NOTED = '{range: 192.168.5.11, note: scanner, expires_at: "2099-01-01T00:00:00Z"}'


@pytest.fixture(autouse=True)
def reported(plane: Plane, gatepost: Gatepost, fleet_file: Callable[[str], Path]) -> None:
    agent = plane.enroll("mx1")
    assert gatepost("apply", "-f", fleet_file(DOCUMENT.replace("192.168.5.11", NOTED))).code == 0
    seen = {"connector": RELAY, "accepted": 2}
    rows = (
        DeviceRow(address="10.20.0.7", range="10.20.0.0/24", last_seen_age_s=10, **seen),
        DeviceRow(address="192.168.5.10", range="192.168.5.10", last_seen_age_s=7200, **seen),
    )
    plane.do(agent.checkin(devices=rows))


def test_ranges_are_listed_with_note_end_and_last_use(gatepost: Gatepost) -> None:
    ran = gatepost("range", "list", RELAY)
    assert ran.code == 0
    lines = {line.split()[0]: line for line in ran.out.splitlines()[2:] if line.split()}
    assert "2 h ago" in lines["192.168.5.10"]
    assert "scanner" in lines["192.168.5.11"]
    assert "not seen" in lines["192.168.5.11"]


def test_unused_ranges_are_told_apart(gatepost: Gatepost) -> None:
    ran = gatepost("range", "list", RELAY, "--unused-for", "1h", "-o", "json")
    assert [row["range"] for row in ran.json] == ["192.168.5.10", "192.168.5.11"]
    assert gatepost("range", "list", RELAY, "--unused-for", "soon").code == 64
    assert gatepost("range", "list", "Nobody").code == 10


def test_devices_are_asked_for_by_range_and_by_time(gatepost: Gatepost) -> None:
    def found(*words: str) -> list[str]:
        return [row["address"] for row in gatepost("devices", *words, "-o", "json").json]

    assert found() == ["10.20.0.7", "192.168.5.10"]
    assert found("--range", "10.20.0.0/24") == ["10.20.0.7"]
    assert found("--unseen-for", "1h") == ["192.168.5.10"]
    assert found("--address", "10.20.0.7", "--unseen-for", "1h") == []
