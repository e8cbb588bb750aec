"""One writer, groups of callers, and a disk that fails at each step."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatepost_agent.spool import turns, writer
from gatepost_agent.spool.changes import Change
from gatepost_agent.spool.errors import NotStored, SpoolError
from gatepost_agent.spool.messages import Result, SpoolLimits
from gatepost_agent.spool.spool import Spool
from tests.agent.spool.plug import PlugDisk, sqlite_error
from tests.agent.spool.samples import body_of, envelope, opened, outcome, queued, read, receive, run
from tests.support.waiting import eventually

FOLDER = Path("/spool")
KATE = "kate@fabrikam.com"


def fail_once(kind: str, where: Callable[[str, str], bool]) -> Callable[[str, str], BaseException | None]:
    """A fault of PlugDisk: the first step that `where` picks fails."""
    left = [True]

    def fault(step: str, name: str) -> BaseException | None:
        if left[0] and where(step, name):
            left[0] = False
            return sqlite_error(kind)
        return None

    return fault


async def attempts(spool: Spool, numbers: range) -> dict[int, int | NotStored]:
    """Receive all at once; number -> queue id, or why not."""
    results = await asyncio.gather(*(receive(spool, body_of(n)) for n in numbers), return_exceptions=True)
    found: dict[int, int | NotStored] = {}
    for number, result in zip(numbers, results, strict=True):
        if isinstance(result, BaseException):
            assert isinstance(result, NotStored), result
            found[number] = result
        else:
            found[number] = result.internal_id
    return found


async def assert_what_was_answered_is_there(disk: PlugDisk, found: dict[int, int | NotStored]) -> None:
    left = disk.after_cut()
    async with opened(FOLDER, disk=left) as spool:
        assert spool.status().problems == ()
        there = await queued(spool)
        for number, queue_id in found.items():
            if isinstance(queue_id, int):
                assert await read(spool, there[queue_id]) == body_of(number)
    left.close()


def test_one_bad_row_does_not_take_its_group_with_it() -> None:
    async def story() -> None:
        disk = PlugDisk()
        async with opened(FOLDER, disk=disk) as spool:
            first = await receive(spool, body_of(0))
            row = await spool._core.writer.call(lambda store: store._rows("true", ()))
            poisoned = spool._core.submit(Change(inserts=[row[0]]), lambda: None)  # the id is taken
            found = await attempts(spool, range(1, 20))
            with pytest.raises(NotStored) as refused:
                await poisoned
            assert refused.value.why == "trouble"
            assert all(isinstance(queue_id, int) for queue_id in found.values())
            await assert_what_was_answered_is_there(disk, {**found, 0: first.internal_id})
        disk.close()

    run(story())


@pytest.mark.parametrize(("kind", "why"), [("full", "full"), ("write", "trouble")])
def test_a_write_that_fails_anywhere_refuses_and_the_next_message_is_stored(kind: str, why: str) -> None:
    """ENOSPC and EIO at every single write and truncate of a group, one after the other."""

    async def story(fail_at: int) -> bool:
        disk = PlugDisk()
        async with opened(FOLDER, disk=disk) as spool:
            before = await attempts(spool, range(3))
            writes = iter(range(fail_at + 1))
            disk.fault = fail_once(kind, lambda step, _: step == "write" and next(writes, -1) == fail_at)
            found = await attempts(spool, range(10, 14))
            refused = [result for result in found.values() if isinstance(result, NotStored)]
            assert [one.why for one in refused] in ([], [why])
            disk.fault = lambda kind, name: None
            after = await attempts(spool, range(20, 22))
            assert all(isinstance(queue_id, int) for queue_id in after.values())
            assert spool.room() == "ok"
            await assert_what_was_answered_is_there(disk, {**before, **found, **after})
            is_past = next(writes, None) is not None
        disk.close()
        return is_past

    for fail_at in range(200):
        if run(story(fail_at)):
            assert fail_at > 5
            return
    pytest.fail("more writes than a group can have")


def test_after_a_failed_sync_nothing_is_added_to_that_file() -> None:
    """The kernel tells once and forgets: what later syncs say of the same file is worth nothing."""

    async def story() -> None:
        disk = PlugDisk()
        async with opened(FOLDER, disk=disk) as spool:
            before = await attempts(spool, range(3))
            disk.fault = fail_once("sync", lambda step, name: (step, name) == ("sync", "spool.db-wal"))
            with pytest.raises(NotStored) as refused:
                await receive(spool, body_of(5))
            assert refused.value.why == "trouble"
            await eventually(lambda: spool.room() == "ok")
            begun, done = disk.steps.index("create building.db"), disk.steps.index("rename rebuilt.db")
            meanwhile = {step for step in disk.steps[begun:done] if "spool.db" in step}
            assert meanwhile == {"rename spool.db", "rename spool.db-wal"}
            assert list(await queued(spool)) == list(before.values())
            after = await attempts(spool, range(6, 8))
            await assert_what_was_answered_is_there(disk, {**before, **after})
            assert spool.status().problems == ()
            assert [name for name in disk.names(FOLDER) if "damaged" in name] == []
            assert await spool.check() == []
        disk.close()

    run(story())


def test_while_the_disk_stays_broken_nothing_is_accepted_and_it_recovers_by_itself() -> None:
    async def story() -> None:
        disk = PlugDisk()
        async with opened(FOLDER, disk=disk) as spool:
            before = await attempts(spool, range(3))
            message = (await spool.take(1))[0]
            disk.fault = lambda kind, name: sqlite_error("sync") if kind.startswith("sync") else None
            settling = asyncio.ensure_future(spool.settle(message.id, [outcome(KATE)]))
            await eventually(lambda: spool.room() == "trouble")
            assert "sync failed" in " ".join(spool.status().problems)
            with pytest.raises(NotStored):
                await receive(spool, body_of(9))
            assert not settling.done()
            disk.fault = lambda kind, name: None
            assert await settling is None  # the outcome was not forgotten
            assert spool.room() == "ok"
            del before[0]
            assert list(await queued(spool)) == list(before.values())
            assert spool.counts().totals["Anonymous Relay", "delivered"] == 1
            await assert_what_was_answered_is_there(disk, before)
        disk.close()

    run(story())


def test_an_outcome_waits_for_a_full_disk_and_new_mail_is_refused_meanwhile() -> None:
    async def story() -> None:
        disk = PlugDisk()
        async with opened(FOLDER, disk=disk) as spool:
            await attempts(spool, range(2))
            message = (await spool.take(1))[0]
            disk.fault = lambda kind, name: sqlite_error("full") if kind == "write" else None
            settling = asyncio.ensure_future(spool.settle(message.id, [outcome(KATE, Result.DONE)]))
            await eventually(lambda: spool.room() != "ok")
            disk.fault = lambda kind, name: None
            assert await settling is None
            assert spool.room() == "ok"
            assert len(await queued(spool)) == 1
        disk.close()

    run(story())


def test_an_outcome_that_cannot_be_written_before_the_end_is_reported() -> None:
    async def story() -> None:
        disk = PlugDisk()
        spool = await Spool.open(FOLDER, disk=disk)
        await attempts(spool, range(1))
        message = (await spool.take(1))[0]
        disk.fault = lambda kind, name: sqlite_error("full") if kind == "write" else None
        settling = asyncio.ensure_future(spool.settle(message.id, [outcome(KATE, Result.DONE)]))
        await eventually(lambda: spool.room() != "ok")
        await spool.close()
        with pytest.raises(SpoolError, match="closed before"):
            await settling
        disk.close()

    run(story())


def test_the_disk_free_floor_refuses_before_data_and_recovers() -> None:
    async def story() -> None:
        disk = PlugDisk()
        limits = SpoolLimits(free_floor=1_000_000)
        async with opened(FOLDER, limits, disk=disk) as spool:
            disk.free = 1_500_000
            await eventually(lambda: spool.room(500_001) == "full")
            assert spool.room(500_000) == "ok"
            disk.free = 999_999
            await eventually(lambda: spool.room() == "full")
            disk.free = 1 << 40
            await eventually(lambda: spool.room() == "ok")
        disk.close()

    run(story())


def test_the_wal_does_not_grow_for_ever_and_the_database_gives_back_what_it_does_not_need(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with opened(tmp_path, SpoolLimits(inline_max=200_000)) as spool:
            for _ in range(3):
                await asyncio.gather(*(receive(spool, body_of(n, 150_000)) for n in range(100)))
                await spool.delete(range(1_000))
            store = spool._core.writer.custody.store
            await eventually(lambda: store is not None and store.wal_pages == 0)
        assert (tmp_path / "spool.db").stat().st_size < 30_000_000
        assert (tmp_path / "spool.db-wal").stat().st_size <= 50_000_000

    run(story())


def test_an_outcome_alone_waits_for_new_mail_and_shares_its_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_LINGER_S", 3600.0)

    async def story() -> None:
        disk = PlugDisk()
        async with opened(FOLDER, disk=disk) as spool:
            await receive(spool, body_of(1))
            message = (await spool.take(1))[0]
            before = spool.status().transactions
            settling = asyncio.ensure_future(spool.settle(message.id, [outcome(KATE)]))
            await asyncio.sleep(0)  # it is submitted
            await eventually(spool._core.writer._queue.empty)
            await receive(spool, body_of(2))
            await settling
            assert spool.status().transactions == before + 1
            message = (await spool.take(1))[0]
            settling = asyncio.ensure_future(spool.settle(message.id, [outcome(KATE)]))
            await asyncio.sleep(0)  # it is submitted
            await eventually(spool._core.writer._queue.empty)
            await spool._core.writer.call(
                lambda store: store.groups
            )  # a question does not wait for mail either
            await settling
        disk.close()

    run(story())


def test_a_large_body_lets_the_commit_of_small_mail_end_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_GIVE_WAY_S", 3600.0)
    under_way, asked, go_on = threading.Event(), threading.Event(), threading.Event()
    turn_of_large = turns.Turns.large
    had_ended = []

    @contextmanager
    def large(self: turns.Turns) -> Iterator[None]:
        asked.set()
        with turn_of_large(self):
            had_ended.append(go_on.is_set())
            yield

    def hold(step: str, name: str) -> None:
        if (step, name) == ("sync", "spool.db-wal"):
            under_way.set()
            assert go_on.wait(30)

    monkeypatch.setattr(turns.Turns, "large", large)

    async def story() -> None:
        disk = PlugDisk()
        async with opened(FOLDER, disk=disk) as spool:
            disk.fault = hold
            small = asyncio.ensure_future(receive(spool, body_of(1)))
            await eventually(under_way.is_set)
            body = spool.begin(envelope())
            body.write(body_of(2, 300_000))
            await eventually(asked.is_set)
            go_on.set()
            await small
            await body.commit("<2@relay.contoso.com>")
            assert had_ended[0]
            [_, message] = await spool.take(2)
            before = len(had_ended)
            assert await read(spool, message) == body_of(2, 300_000)
            assert len(had_ended) - before == 3  # blocks
        disk.close()

    run(story())


@pytest.mark.parametrize(("took_s", "at_once"), [(0.001, 1), (0.5, 2)])
def test_large_bodies_are_written_side_by_side_only_while_the_disk_is_slow(
    monkeypatch: pytest.MonkeyPatch, took_s: float, at_once: int
) -> None:
    now, most, inside = [0.0], [0], [0]
    monkeypatch.setattr(turns, "monotonic", lambda: now[0])
    both = threading.Barrier(at_once, timeout=30)
    shared = turns.Turns()
    with shared.large():
        now[0] += took_s

    def write() -> None:
        with shared.large():
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            both.wait()
            inside[0] -= 1

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(write) for _ in range(2)]:
            done.result()
    assert most == [at_once]
