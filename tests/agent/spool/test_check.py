"""fsck: says what is wrong, and nothing when all is well."""

import asyncio
from pathlib import Path

import pytest

from gatepost_agent.spool import check, writer
from gatepost_agent.spool.core import Core
from gatepost_agent.spool.errors import DamagedBody
from gatepost_agent.spool.messages import QueuedMessage, Result
from gatepost_agent.spool.reading import compare_file
from gatepost_agent.spool.spool import Spool
from tests.agent.spool.samples import body_of, opened, outcome, queued, read, receive, run


async def spoil(spool: Spool, statement: str) -> None:
    await spool._core.writer.call(lambda store: store._db.execute(statement).fetchall())


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE bodies SET body = zeroblob(600) WHERE id = 2", "message 2 is not what was received"),
        ("DELETE FROM bodies WHERE id = 2", "the body of message 2 is lost"),
        ("UPDATE messages SET about = '{' WHERE id = 2", "the row of message 2 is unreadable"),
        ("DELETE FROM messages WHERE id = 2", "1 bodies in the database belong to no message"),
    ],
)
def test_check_names_what_is_wrong_in_the_database(tmp_path: Path, statement: str, finding: str) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            for number in (1, 2, 3):
                await receive(spool, body_of(number))
            assert await spool.check() == []
            await spoil(spool, statement)
            (found,) = await spool.check()
            assert finding in found
            await spoil(spool, "DELETE FROM messages WHERE id = 2")
            there = await queued(spool)
            assert [await read(spool, there[number]) for number in (1, 3)] == [body_of(1), body_of(3)]

    run(story())


def test_an_unreadable_row_does_not_stop_delivery_of_the_rest(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            for number in (1, 2, 3):
                await receive(spool, body_of(number))
            await spoil(spool, "UPDATE messages SET recipients = 'x' WHERE id = 2")
        async with opened(tmp_path) as spool:
            assert [message.id for message in await spool.take(10)] == [1, 3]

    run(story())


def test_check_and_delivery_notice_a_body_file_that_is_damaged_or_gone(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            for number in (1, 2, 3, 4):
                await receive(spool, body_of(number, 150_000))
            octets = (tmp_path / "bodies" / "2").read_bytes()
            (tmp_path / "bodies" / "2").write_bytes(octets[:100_000] + b"?" + octets[100_001:])
            (tmp_path / "bodies" / "3").unlink()
            (tmp_path / "bodies" / "4").write_bytes(octets[:50_000])
            assert len(await spool.check()) == 3
            there = await queued(spool)
            assert await read(spool, there[1]) == body_of(1, 150_000)
            for number in (2, 3, 4):
                with pytest.raises(DamagedBody):
                    await read(spool, there[number])

    run(story())


def test_check_names_a_file_that_belongs_to_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            await receive(spool, body_of(1, 150_000))
            await receive(spool, body_of(1, 150))
        async with opened(tmp_path) as spool:
            (tmp_path / "bodies" / "2").write_bytes(b"")
            assert "body file 2 belongs to no message" in (await spool.check())[0]

    run(story())


def test_a_check_tells_how_far_it_is_and_finds_what_is_wrong_on_every_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "_PAGE", 2)

    async def story() -> None:
        async with opened(tmp_path) as spool:
            for number in range(1, 6):
                await receive(spool, body_of(number))
            [first, *_] = await spool.take(5)
            await spool.settle(first.id, [outcome("kate@fabrikam.com", Result.NEVER, "550 no")])  # kept
            await spoil(spool, "UPDATE bodies SET body = zeroblob(600)")
            steps = [so_far async for so_far in spool.checking()]
            assert sorted({(step.done, step.total) for step in steps}) == [(0, 5), (2, 5), (4, 5), (5, 5)]
            assert [len(step.problems) for step in steps if step.problems] == [2, 2, 1]

    run(story())


def test_a_page_of_large_bodies_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_PAGE_OCTETS", 2000)

    async def story() -> None:
        async with opened(tmp_path) as spool:
            for number in range(1, 5):
                await receive(spool, body_of(number, 1500))
            assert {so_far.done async for so_far in spool.checking()} == {0, 2, 4}

    run(story())


def test_a_check_asks_the_writer_once_a_page_and_not_once_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            for number in range(50):
                await receive(spool, body_of(number))
            asked: list[object] = []
            put = spool._core.writer._put

            def counted(item: writer._Item) -> None:
                asked.append(item)
                put(item)

            monkeypatch.setattr(spool._core.writer, "_put", counted)
            assert await spool.check() == []
            monkeypatch.undo()
            assert len(asked) <= 5

    run(story())


def test_a_message_deleted_while_its_file_was_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            for number in (1, 2):
                await receive(spool, body_of(number, 150_000))
                (tmp_path / "bodies" / str(number)).write_bytes(b"short")
            loop = asyncio.get_running_loop()

            def late(core: Core, message: QueuedMessage) -> None:
                if message.id == 1:
                    asyncio.run_coroutine_threadsafe(spool.delete([1]), loop).result()
                compare_file(core, message)

            monkeypatch.setattr(check, "compare_file", late)
            assert await spool.check() == ["the body of message 2 is not what was received"]

    run(story())


def test_a_check_ends_while_mail_keeps_coming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_PAGE", 1)

    async def story() -> None:
        async with opened(tmp_path) as spool:
            await receive(spool, body_of(1))
            async for _ in spool.checking():
                assert (await receive(spool, body_of(2))).internal_id < 20

    run(story())
