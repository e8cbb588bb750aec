"""SIGKILL at every fault point and at random times: each 250 is there after the restart, or was sent on before."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatepost_agent.spool.faults import POINTS
from tests.agent.spool.killed import LIMITS, SIZES
from tests.agent.spool.samples import body_of, opened, queued, read, run


class Told:
    """What the dead process had promised."""

    def __init__(self, lines: list[str]) -> None:
        self.answered: dict[int, int] = {}
        self.sent: set[int] = set()
        self.settled: set[int] = set()
        self.has_ended = False
        for word, *numbers in map(str.split, lines):
            ids = [int(number) for number in numbers]
            if word == "answered":
                self.answered[ids[0]] = ids[1]
            elif word == "ended":
                self.has_ended = True
            else:
                (self.sent if word == "sent" else self.settled).add(ids[0])


@contextmanager
def started(folder: Path, point: str, times: int) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "tests.agent.spool.killed", str(folder), point, str(times)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_every_promise_is_kept(folder: Path, told: Told) -> None:
    async def story() -> None:
        async with opened(folder, LIMITS) as spool:
            there = await queued(spool)
            assert spool.status().problems == ()
            for queue_id, number in told.answered.items():
                if queue_id in there:
                    assert await read(spool, there[queue_id]) == body_of(number, SIZES[number % 4])
                else:
                    assert queue_id in told.sent, f"{queue_id} was answered 250 and is nowhere"
            assert not told.settled & there.keys()
            in_doubt = (
                told.sent - told.settled
            ) & there.keys()  # would be sent twice: only what was in flight
            assert len(in_doubt) <= 3
            assert await spool.check() == []

    run(story())


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_fault_point(tmp_path: Path, point: str) -> None:
    for times in (1, 5) if point != "checkpoint-done" else (1,):
        folder = tmp_path / str(times)
        with started(folder, point, times) as process:
            assert process.stdout is not None
            told = Told(process.stdout.readlines())
            assert process.wait(timeout=30) == -9, "the fault point was never passed"
        assert not told.has_ended
        assert_every_promise_is_kept(folder, told)


def test_killed_at_random_times_again_and_again_on_the_same_spool(tmp_path: Path) -> None:
    luck = random.Random(7)
    for _ in range(4):
        with started(tmp_path, "never", 1) as process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if len(lines) > luck.randrange(50, 400):
                    process.kill()
            told = Told([line for line in lines if line.endswith("\n")])
        assert told.answered
        assert_every_promise_is_kept(tmp_path, told)
