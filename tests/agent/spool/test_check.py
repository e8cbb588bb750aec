"""fsck: says what is wrong, and nothing when all is well."""

from pathlib import Path

import pytest

from gatepost_agent.spool.errors import DamagedBody
from gatepost_agent.spool.spool import Spool
from tests.agent.spool.samples import body_of, opened, queued, read, receive, run


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
