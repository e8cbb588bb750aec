"""A message while it arrives: bounded in memory, and in one outcome whatever its disk does."""

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from gatepost_agent.spool.disk import AppendFile, RealDisk
from gatepost_agent.spool.errors import NotStored, SpoolError
from gatepost_agent.spool.messages import SpoolLimits
from tests.agent.spool.plug import PlugDisk
from tests.agent.spool.samples import body_of, envelope, opened, queued, read, receive, run
from tests.support.waiting import eventually

FOLDER = Path("/spool")


class SlowDisk(RealDisk):
    """Writes of bodies wait for `go`."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.largest_write = 0

    def create(self, path: Path) -> AppendFile:
        return _SlowFile(self, super().create(path))


class _SlowFile:
    def __init__(self, disk: SlowDisk, file: AppendFile) -> None:
        self._disk, self._file = disk, file
        self.sync, self.close = file.sync, file.close

    def append(self, blocks: Sequence[bytes]) -> None:
        self._disk.go.wait(30)
        self._disk.largest_write = max(self._disk.largest_write, sum(map(len, blocks)))
        self._file.append(blocks)


def test_a_sender_that_waits_for_drain_never_fills_the_memory(tmp_path: Path) -> None:
    async def story() -> None:
        disk = SlowDisk()
        disk.go.set()
        async with opened(tmp_path, disk=disk) as spool:
            disk.go.clear()
            incoming = spool.begin(envelope())
            written = 0
            while incoming._buffered <= 128 * 1024:  # with the disk standing still, drain would wait here
                incoming.write(bytes(16_384))
                written += 16_384
            assert written <= 300_000
            disk.go.set()
            for _ in range(200):
                incoming.write(bytes(16_384))
                await incoming.drain()
                assert incoming._buffered <= 128 * 1024
            await incoming.commit("<1@x>")
            assert disk.largest_write <= 128 * 1024 + 2 * 16_384 + 1000  # with the envelope's line

    run(story())


def test_small_mail_does_not_wait_for_large_mail_on_a_slow_disk(tmp_path: Path) -> None:
    async def story() -> None:
        disk = SlowDisk()
        disk.go.set()
        async with opened(tmp_path, disk=disk) as spool:
            disk.go.clear()
            for _ in range(8):  # more than there are workers
                spool.begin(envelope()).write(bytes(300_000))
            await receive(spool, body_of(1))
            assert len(await queued(spool)) == 1
            disk.go.set()

    run(story())


@pytest.mark.parametrize(("code", "why"), [(errno.ENOSPC, "full"), (errno.EIO, "trouble")])
@pytest.mark.parametrize("step", ["create", "write", "sync-body", "sync-folder"])
def test_a_body_that_cannot_be_written_is_refused_and_the_next_one_stored(
    code: int, why: str, step: str
) -> None:
    async def story() -> None:
        disk = PlugDisk()
        async with opened(FOLDER, SpoolLimits(inline_max=1000), disk=disk) as spool:
            await receive(spool, body_of(1, 400_000))
            disk.fault = lambda kind, name: (
                OSError(code, os.strerror(code)) if kind == step and name in "23bodies" else None
            )
            for number in (2, 3):
                with pytest.raises(NotStored) as refused:
                    await receive(spool, body_of(number, 5000 if number == 2 else 900_000))
                assert refused.value.why == why
            disk.fault = lambda kind, name: None
            stored = await receive(spool, body_of(4, 400_000))
            await eventually(lambda: disk.names(FOLDER / "bodies") == ["1", str(stored.internal_id)])
            there = await queued(spool)
            assert [await read(spool, m) for m in there.values()] == [
                body_of(1, 400_000),
                body_of(4, 400_000),
            ]
            assert spool.status().bytes == 800_000
            assert spool.room() == "ok"
        disk.close()

    run(story())


def test_a_message_ends_only_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            incoming = spool.begin(envelope())
            incoming.write(b"Subject: scan\r\n")
            await incoming.commit("<1@x>")
            await incoming.abandon()
            with pytest.raises(SpoolError, match="before"):
                await incoming.commit("<1@x>")
            assert len(await queued(spool)) == 1

    run(story())
