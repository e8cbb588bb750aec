"""What is found at start: damage, a missing database, orphans, another format, a repair that was cut short."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import pytest

from gatepost_agent.spool.errors import SpoolError, VersionRefused
from gatepost_agent.spool.messages import SpoolLimits
from gatepost_agent.spool.spool import Spool
from tests.agent.spool.plug import PlugDisk, sqlite_error
from tests.agent.spool.samples import body_of, envelope, kept, opened, outcome, queued, read, receive, run

FOLDER = Path("/spool")
LIMITS = SpoolLimits(inline_max=2000)
PAGE = 4096


async def filled(folder: Path, count: int = 60) -> dict[int, bytes]:
    """A spool with `count` small messages and, as the last one, a large one; all in the database file itself."""
    async with opened(folder, LIMITS) as spool:
        bodies = {n: body_of(n, 1500) for n in range(1, count + 1)}
        for body in bodies.values():
            await receive(spool, body)
        large = await receive(spool, body_of(0, 9000))
        bodies[large.internal_id] = body_of(0, 9000)
    return bodies


async def compare(folder: Path, bodies: dict[int, bytes]) -> tuple[set[int], tuple[str, ...]]:
    """Open and read everything; which ids came through, and the problems told."""
    async with opened(folder, LIMITS) as spool:
        there = await queued(spool)
        for queue_id, message in there.items():
            assert await read(spool, message) == bodies[queue_id]
        assert await spool.check() == []
        await receive(spool, body_of(99))  # and it goes on
        return set(there), spool.status().problems


def overwrite(path: Path, offset: int, octets: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(octets)


def pages_of(path: Path, table: str) -> list[int]:
    """The numbers of the leaf pages of a table."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'"
    pages = [row[0] for row in connection.execute(query, (table,))]
    connection.close()
    return pages


@pytest.mark.parametrize("table", ["messages", "bodies"])
def test_a_damaged_page_costs_what_was_on_it_and_nothing_else(tmp_path: Path, table: str) -> None:
    async def story() -> None:
        bodies = await filled(tmp_path)
        pages = pages_of(tmp_path / "spool.db", table)
        assert len(pages) > 4
        overwrite(tmp_path / "spool.db", (pages[2] - 1) * PAGE, b"\xa5" * PAGE)
        async with opened(tmp_path, LIMITS) as spool:
            there = set(await queued(spool))
            lost = set(bodies) - there
            assert len(lost) <= 20
            assert "damaged-1" in spool.status().problems[0]
            assert (tmp_path / "damaged-1" / "spool.db").exists()
            message = await receive(spool, body_of(99))
            assert message.internal_id > max(bodies)
            unread = [finding for finding in await spool.check() if "is lost" in finding]
            assert len(unread) <= 3 if table == "bodies" else not unread

    run(story())


def test_a_database_that_is_no_database_gives_back_what_lies_in_body_files(tmp_path: Path) -> None:
    async def story() -> None:
        bodies = await filled(tmp_path)
        overwrite(tmp_path / "spool.db", 0, b"\0" * 100 + b"\xff" * PAGE)
        there, problems = await compare(tmp_path, bodies)
        assert there == {max(bodies)}
        assert "1 taken back from body files" in problems[0]

    run(story())


def test_a_lost_database_does_not_lose_large_messages_and_does_not_repeat_ids(tmp_path: Path) -> None:
    async def story() -> None:
        bodies = await filled(tmp_path)
        for name in ("spool.db", "spool.db-wal"):
            (tmp_path / name).unlink()
        (tmp_path / "bodies" / "500").write_bytes((tmp_path / "bodies" / str(max(bodies))).read_bytes()[:-20])
        there, problems = await compare(tmp_path, bodies)
        assert there == {max(bodies)}  # 500 was not completely received: nobody was told 250
        assert "spool.db is missing" in problems[0]
        async with opened(tmp_path, LIMITS) as spool:
            assert spool.begin(envelope()).id > 1_000_000

    run(story())


def test_what_only_the_end_of_a_message_tells_comes_back_from_its_file_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            incoming = spool.begin(envelope())
            incoming.write(body_of(1, 200_000))
            await incoming.commit("<8@x>", envelope()._replace(eight_bit=True, smtp_utf8=True))
        (tmp_path / "spool.db").unlink()
        async with opened(tmp_path) as spool:
            (message,) = (await queued(spool)).values()
            assert message.envelope == envelope()._replace(eight_bit=True, smtp_utf8=True)
            assert message.message_id == "<8@x>"

    run(story())


def test_damage_that_is_met_while_running_is_set_aside_and_work_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        bodies = await filled(tmp_path)
        pages = pages_of(tmp_path / "spool.db", "messages")
        async with opened(tmp_path, LIMITS) as spool:
            overwrite(tmp_path / "spool.db", (pages[3] - 1) * PAGE, b"\xa5" * PAGE)
            await spool._core.writer.call(lambda store: store._db.execute("PRAGMA shrink_memory").fetchall())
            with pytest.raises(SpoolError, match="damaged"):
                await queued(spool)
            assert len(set(bodies) - set(await queued(spool))) <= 20
            assert "damaged-1" in spool.status().problems[0]
            assert spool.status().queued == len(await queued(spool))
            stored = await receive(spool, body_of(99))
            assert stored.internal_id in await queued(spool)

    run(story())


def test_only_the_last_damaged_files_are_kept(tmp_path: Path) -> None:
    async def story() -> None:
        for _ in range(5):
            async with opened(tmp_path) as spool:
                await receive(spool, body_of(1))
            overwrite(tmp_path / "spool.db", 0, b"\xff" * 100)
        async with opened(tmp_path):
            pass

    run(story())
    assert {path.name for path in tmp_path.glob("damaged-*")} == {"damaged-3", "damaged-4", "damaged-5"}


def test_counts_and_what_was_imported_survive_a_repair_that_can_read_them(tmp_path: Path) -> None:
    async def story() -> None:
        await filled(tmp_path)
        page = pages_of(tmp_path / "spool.db", "messages")[1]
        overwrite(tmp_path / "spool.db", (page - 1) * PAGE, b"\xa5" * PAGE)
        async with opened(tmp_path, LIMITS) as spool:
            assert spool.counts().totals["Anonymous Relay", "accepted"] == 61

    run(story())


def test_a_body_file_without_a_row_goes_before_anything_is_received(tmp_path: Path) -> None:
    async def story() -> None:
        bodies = await filled(tmp_path)
        (tmp_path / "bodies" / "777").write_bytes(b"half a body")
        there, problems = await compare(tmp_path, bodies)
        assert (there, problems) == (set(bodies), ())
        assert [path.name for path in (tmp_path / "bodies").iterdir()] == [str(max(bodies))]

    run(story())


def _pretend(folder: Path, *, written: int, runs_with: int) -> None:
    connection = apsw.Connection(str(folder / "spool.db"))
    connection.pragma("user_version", written)
    connection.execute("UPDATE facts SET value = ? WHERE name = 'runs_with'", (runs_with,))
    connection.execute("ALTER TABLE messages ADD COLUMN colour TEXT DEFAULT 'red'")
    connection.close()


def test_a_format_that_this_release_cannot_run_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async def story() -> None:
        bodies = await filled(tmp_path)
        _pretend(tmp_path, written=3, runs_with=2)
        with pytest.raises(VersionRefused, match=r"format 3 .* install the newer release"):
            await Spool.open(tmp_path)
        assert len(list((tmp_path / "bodies").iterdir())) == 1  # nothing was cleared away
        _pretend_again = apsw.Connection(str(tmp_path / "spool.db"))
        _pretend_again.execute("UPDATE facts SET value = 1 WHERE name = 'runs_with'")
        _pretend_again.close()
        assert (await compare(tmp_path, bodies))[0] == set(bodies)

    run(story())


def test_what_the_next_release_writes_is_run_as_long_as_it_says_so(tmp_path: Path) -> None:
    """Upgrade and going back with mail in the queue: unknown columns and fields are left alone."""

    async def story() -> None:
        bodies = await filled(tmp_path)
        _pretend(tmp_path, written=2, runs_with=1)
        connection = apsw.Connection(str(tmp_path / "spool.db"))
        connection.execute("UPDATE messages SET about = json_set(about, '$.new', 1, '$.envelope.new', 2)")
        connection.close()
        there, problems = await compare(tmp_path, bodies)
        assert (there, problems) == (set(bodies), ())
        connection = apsw.Connection(str(tmp_path / "spool.db"))
        assert connection.pragma("user_version") == 2
        connection.close()

    run(story())


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "spool.db"))
    connection.execute("PRAGMA user_version = 7; CREATE TABLE facts(name, value)")
    connection.close()
    with pytest.raises(VersionRefused, match="something else"):
        run(Spool.open(tmp_path))


async def _until_cut(disk: PlugDisk, work: Callable[[Spool], Awaitable[object]]) -> None:
    try:
        async with opened(FOLDER, LIMITS, disk=disk) as spool:
            task = asyncio.ensure_future(work(spool))
            while not task.done() and not disk.is_cut:
                await asyncio.wait([task], timeout=0.002)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled() or isinstance(task.exception(), SpoolError | None)
    except SpoolError:
        return


def test_a_rewrite_after_a_failed_sync_can_be_cut_anywhere() -> None:
    """A failed sync, the rewriting of the spool that follows, and a power cut in the middle of that."""

    async def story(cut_after: int) -> bool:
        disk = PlugDisk()
        answered: dict[int, bytes] = {}

        async def work(spool: Spool) -> None:
            for number, size in ((1, 500), (2, 5000), (3, 500)):
                stored = await receive(spool, body_of(number, size))
                answered[stored.internal_id] = body_of(number, size)
            (first,) = await spool.take(1)
            await spool.settle(first.id, [outcome("kate@fabrikam.com")])
            del answered[first.id]
            failing = [True]

            def fault(kind: str, name: str) -> BaseException | None:
                if failing and kind == "sync":
                    failing.clear()
                    disk.cut_at = len(disk.steps) + cut_after
                    return sqlite_error("sync")
                return None

            disk.fault = fault
            await asyncio.gather(
                receive(spool, body_of(4)), receive(spool, body_of(5)), return_exceptions=True
            )

        await _until_cut(disk, work)
        left = disk.after_cut()
        async with opened(FOLDER, LIMITS, disk=left) as spool:
            there = await queued(spool)
            for queue_id, body in answered.items():
                assert await read(spool, there[queue_id]) == body
            assert spool.status().problems == ()
            assert await kept(spool) == {}
            assert spool.counts().totals["Anonymous Relay", "delivered"] == 1
        left.close()
        disk.close()
        return disk.is_cut

    for cut_after in range(300):
        if not run(story(cut_after)):
            assert cut_after > 20
            return
    pytest.fail("the rewrite never ends")
