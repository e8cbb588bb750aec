"""Each client address has a row; their number is bounded and what is dropped is still counted."""

from gatepost_agent.devices import OVERFLOW, Devices, Hits
from gatepost_agent.health import BAD


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_row_says_what_a_client_did() -> None:
    clock = Clock()
    devices = Devices(clock)
    device = devices.enter("10.0.0.1", "Relay", "10.0.0.0/8")
    device.helo = "printer"
    device.accepted += 2
    device.refused["550 5.7.1"] += 1
    devices.leave(device)
    clock.now = 160.0
    (row,) = devices.rows()
    assert (row.address, row.connector, row.accepted, row.refused) == (
        "10.0.0.1",
        "Relay",
        2,
        {"550 5.7.1": 1},
    )
    assert (row.first_seen_age_s, row.last_seen_age_s) == (60.0, 60.0)


def test_the_device_seen_longest_ago_makes_room_and_stays_counted() -> None:
    clock = Clock()
    devices = Devices(clock, limit=2)
    for number in range(4):
        clock.now += 1
        device = devices.enter(f"10.0.0.{number}")
        device.accepted += 1
        device.tolerances["bare_lf_line"] += 1
        devices.leave(device)
    rows = devices.rows()
    assert [row.address for row in rows] == ["10.0.0.3", "10.0.0.2", OVERFLOW]
    assert (rows[-1].accepted, rows[-1].tolerances) == (2, {"bare_lf_line": 2})


def test_a_device_with_an_open_session_is_kept() -> None:
    devices = Devices(Clock(), limit=1)
    talking = devices.enter("10.0.0.1")
    for number in range(2, 5):
        devices.leave(devices.enter(f"10.0.0.{number}"))
    assert "10.0.0.1" in {row.address for row in devices.rows()}
    devices.leave(talking)


def test_two_sessions_of_one_client_are_one_row() -> None:
    devices = Devices(Clock(), limit=1)
    first, second = devices.enter("10.0.0.1"), devices.enter("10.0.0.1")
    assert first is second
    devices.leave(first)
    devices.leave(devices.enter("10.0.0.2"))
    assert "10.0.0.1" in {row.address for row in devices.rows()}


def test_the_report_is_cut_before_the_row_for_the_rest() -> None:
    devices = Devices(Clock(), limit=5)
    for number in range(9):
        devices.leave(devices.enter(f"10.0.0.{number}"))
    rows = devices.rows(most=3)
    assert len(rows) == 3
    assert rows[-1].address == OVERFLOW


def test_many_names_behind_one_address_are_told_with_the_address() -> None:
    clock = Clock()
    devices = Devices(clock)
    for number in range(21):
        device = devices.enter("10.0.0.1", "Relay")
        device.helo = f"host{number}"
        devices.leave(device)
    devices.leave(devices.enter("10.0.0.2"))
    (finding,) = devices.odd()
    assert finding.type in BAD
    assert (finding.type, "10.0.0.1 (Relay)" in finding.message) == ("ManyHostsBehindOneAddress", True)
    assert "10.0.0.2" not in finding.message
    clock.now += 601
    assert devices.odd() == ()


def test_a_client_far_above_its_usual_hour_is_told_while_its_session_is_open() -> None:
    clock = Clock()
    devices = Devices(clock)
    device = devices.enter("10.0.0.1")
    for _ in range(3):
        assert devices.odd() == ()
        device.accepted += 20
        clock.now += 3600
    assert devices.odd() == ()
    device.accepted += 201
    (finding,) = devices.odd()
    assert finding.type in BAD
    assert (finding.type, "10.0.0.1" in finding.message) == ("UnusualVolume", True)
    devices.leave(device)


def test_each_connector_counts_a_client_for_itself() -> None:
    devices = Devices(Clock())
    for connector, accepted in (("Relay", 2), ("Default", 0), ("Relay", 1)):
        device = devices.enter("10.0.0.1", connector, "10.0.0.0/8")
        device.accepted += accepted
        devices.leave(device)
    assert {(row.connector, row.accepted) for row in devices.rows()} == {("Relay", 3), ("Default", 0)}


def test_a_hit_outlives_the_row_of_the_device_and_its_move_to_another_connector() -> None:
    clock = Clock()
    devices = Devices(clock, limit=1)
    for address, connector, range_ in (
        ("10.0.0.1", "Relay", "10.0.0.1"),
        ("10.0.0.1", "Default", "0.0.0.0/0"),
        ("10.0.0.2", "Relay", "10.0.0.2"),
    ):
        clock.now += 1
        devices.leave(devices.enter(address, connector, range_))
    assert [(hit.connector, hit.range, hit.age_s) for hit in devices.hits()] == [
        ("Relay", "10.0.0.2", 0),
        ("Default", "0.0.0.0/0", 1),
        ("Relay", "10.0.0.1", 2),
    ]


def test_hits_are_bounded_and_those_longest_ago_go() -> None:
    hits = Hits(limit=2)
    for moment, range_ in enumerate(("a", "b", "a", "c")):
        hits.note("Relay", range_, moment)
    assert [hit.range for hit in hits.rows(10.0)] == ["c", "a"]
