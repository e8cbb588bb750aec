"""Totals survive a killed process, and no incarnation is lost before the control plane has it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatepost_agent import counters
from gatepost_agent.counters import MAX_RECORDS, OVERFLOW, CounterFile, Counters, new_incarnation, read_totals


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_what_was_counted_is_reported_under_this_life(tmp_path: Path) -> None:
    counted = Counters(tmp_path, Clock())
    counted.add("Relay", "refused 550 5.7.1")
    counted.add("Relay", "refused 550 5.7.1", 2)
    counted.add("", "sessions")
    (only,) = counted.sets()
    assert only.totals == {"Relay": {"refused 550 5.7.1": 3}, "": {"sessions": 1}}
    assert not only.closed
    counted.close()


def test_after_a_restart_the_earlier_life_is_closed_and_kept_until_acknowledged(tmp_path: Path) -> None:
    clock = Clock()
    first = Counters(tmp_path, clock)
    first.add("Relay", "sessions", 7)
    first.close()
    second = Counters(tmp_path, clock)
    now, before = second.sets()
    assert now.totals == {}
    assert (before.incarnation, before.closed) == (first.incarnation, True)
    assert before.totals == {"Relay": {"sessions": 7}}
    second.acknowledge(before.incarnation)
    second.prune()
    assert len(second.sets()) == 2  # a control plane restored from a backup asks again
    clock.now = (tmp_path / f"{before.incarnation}.counts").stat().st_mtime + counters.KEPT_S
    second.prune()
    assert [known.incarnation for known in second.sets()] == [second.incarnation]
    second.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_what_nobody_acknowledged_is_never_forgotten_by_age(tmp_path: Path) -> None:
    clock = Clock()
    first = Counters(tmp_path, clock)
    first.add("Relay", "sessions")
    first.close()
    clock.now *= 10
    second = Counters(tmp_path, clock)
    second.prune()
    assert len(second.sets()) == 2
    second.close()


def test_a_life_without_counts_leaves_nothing(tmp_path: Path) -> None:
    clock = Clock()
    for _ in range(3):
        Counters(tmp_path, clock).close()
    last = Counters(tmp_path, clock)
    assert len(last.sets()) == 1
    last.close()


def test_renewing_closes_this_life_and_begins_another(tmp_path: Path) -> None:
    counted = Counters(tmp_path, Clock())
    counted.add("Relay", "sessions")
    before = counted.incarnation
    counted.renew()
    counted.add("Relay", "sessions", 5)
    now, closed = counted.sets()
    assert now.incarnation != before
    assert (closed.incarnation, closed.totals, closed.closed) == (before, {"Relay": {"sessions": 1}}, True)
    counted.close()


def test_closed_lives_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MAX_CLOSED", 3)
    clock = Clock()
    for _ in range(6):
        life = Counters(tmp_path, clock)
        life.add("Relay", "sessions")
        life.close()
    last = Counters(tmp_path, clock)
    assert len(last.sets()) == 4
    last.close()


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, signal, sys\n"
        "from gatepost_agent.counters import Counters\n"
        "counted = Counters(pathlib.Path(sys.argv[1]))\n"
        "for number in range(1000):\n"
        "    counted.add(f'c{number % 100}', 'sessions')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    (path,) = tmp_path.iterdir()
    assert read_totals(path) == {(f"c{number}", "sessions"): 10 for number in range(100)}


def test_a_file_cut_anywhere_is_readable(tmp_path: Path) -> None:
    path = tmp_path / f"{new_incarnation(1.0)}.counts"
    counted = CounterFile(path)
    for number in range(70):  # more than the file begins with
        counted.add("Relay", f"event {number}")
    counted.close()
    whole = path.read_bytes()
    for cut in range(0, len(whole), 97):
        path.write_bytes(whole[:cut])
        assert all(total == 1 for total in read_totals(path).values())


def test_too_many_different_events_are_counted_together(tmp_path: Path) -> None:
    counted = CounterFile(tmp_path / f"{new_incarnation(1.0)}.counts")
    for number in range(MAX_RECORDS + 10):
        counted.add("Relay", str(number))
    assert len(counted.totals) == MAX_RECORDS
    assert counted.totals[OVERFLOW] == 11
    counted.close()


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    life = Counters(tmp_path / "counters", Clock())
    (path,) = (tmp_path / "counters").iterdir()
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(path.parent).st_mode & 0o777 == 0o700
    life.close()


def test_an_incarnation_is_a_uuid7_that_sorts_by_time() -> None:
    early, late = (new_incarnation(now, lambda size: b"\xff" * size) for now in (1.7e9, 1.8e9))
    assert early < late
    assert (early[12], early[16]) == ("7", "b")
    assert int(early[:12], 16) == 1_700_000_000_000


def test_a_file_has_no_holes(tmp_path: Path) -> None:
    counted = CounterFile(tmp_path / f"{new_incarnation(1.0)}.counts")
    for number in range(200):
        counted.add("Relay", f"event {number}")
        seen = os.fstat(counted._file)
        assert seen.st_blocks * 512 >= seen.st_size >= 256 * (number + 1)
    counted.close()


@pytest.mark.parametrize("room", [0, 1, 3])
def test_on_a_full_disk_totals_are_in_memory_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    left = [room]
    allocate = os.posix_fallocate

    def full(file: int, offset: int, size: int) -> None:
        left[0] -= 1
        if left[0] >= 0 or left[0] < -5:
            return allocate(file, offset, size)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    path = tmp_path / f"{new_incarnation(1.0)}.counts"
    counted = CounterFile(path)
    for _ in range(2):
        for number in range(300):
            counted.add("Relay", f"event {number}")
    assert counted.totals == {("Relay", f"event {number}"): 2 for number in range(300)}
    counted.close()
    kept = read_totals(path)
    assert kept.items() <= counted.totals.items()
    assert bool(kept) == bool(room)
    assert len(kept) < 300
