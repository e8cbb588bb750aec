"""Messages go to another host and back, once each."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatepost_agent.spool import store, transfer
from gatepost_agent.spool.core import Core
from gatepost_agent.spool.errors import NoSuchMessage, NotStored, Unreadable
from gatepost_agent.spool.messages import QueuedMessage, Result, SpoolLimits
from gatepost_agent.spool.reading import read_body
from gatepost_agent.spool.spool import Spool
from tests.agent.spool.samples import body_of, kept, opened, outcome, queued, read, receive, run

KATE, TONY = "kate@fabrikam.com", "tony@fabrikam.com"


async def blocks_of(stream: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(stream), size):
        yield stream[start : start + size]


async def exported(spool: Spool, *ids: int) -> bytes:
    return b"".join([block async for block in spool.export(ids)])


async def three(spool: Spool) -> list[int]:
    """A small one, a large one that reached one of two, and one that failed."""
    small = await receive(spool, body_of(1))
    large = await receive(spool, body_of(2, 200_000), KATE, TONY)
    failed = await receive(spool, body_of(3))
    await spool.take(3)
    await spool.settle(large.internal_id, [outcome(KATE)], next_attempt=5.0)
    await spool.settle(failed.internal_id, [outcome(KATE, Result.NEVER, "550 no")])
    return [small.internal_id, large.internal_id, failed.internal_id]


@pytest.mark.parametrize("block", [7, 65_536, 10_000_000])
def test_what_is_exported_arrives_whole_on_another_host(tmp_path: Path, block: int) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a") as a, opened(tmp_path / "b") as b:
            await receive(b, body_of(9))  # the ids differ
            ids = await three(a)
            stream = await exported(a, *ids)
            assert await b.import_(blocks_of(stream, block)) == (3, 0, ())
            here = [await a.get(queue_id) for queue_id in ids]
            there = [m for m in [*(await queued(b)).values(), *(await kept(b)).values()] if m.origin]
            assert [m.origin for m in there] == [f"{a.counts().store_id}:{i}" for i in ids]
            assert [m.pending for m in there] == [(KATE,), (TONY,), ()]
            for mine, theirs in zip(here, there, strict=True):
                assert theirs._replace(id=mine.id, origin=None, body_at=mine.body_at) == mine
                assert await read(b, theirs) == await read(a, mine)
            assert b.status().kept == 1
            assert b.counts().totals["Anonymous Relay", "imported"] == 2
            assert await b.check() == []
            assert (await a.get(ids[0])).origin is None  # an export takes nothing away

    run(story())


def test_importing_again_adds_nothing_also_after_delivery_and_by_way_of_a_third_host(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a") as a, opened(tmp_path / "b") as b, opened(tmp_path / "c") as c:
            stream = await exported(a, *(await three(a)))
            await b.import_(blocks_of(stream))
            onward = await exported(b, *await queued(b), *await kept(b))
            assert (await c.import_(blocks_of(onward))).added == 3
            for message in await b.take(2):
                await b.settle(message.id, [outcome(rcpt) for rcpt in message.pending])
            assert await b.import_(blocks_of(stream)) == (0, 3, ())
            assert await a.import_(blocks_of(onward)) == (0, 3, ())
            assert await c.import_(blocks_of(stream)) == (0, 3, ())

    run(story())


def test_imports_are_remembered_for_so_many_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "IMPORTS_KEPT", 4)

    async def story() -> None:
        async with opened(tmp_path / "a") as a, opened(tmp_path / "b") as b:
            stream = await exported(a, *(await three(a)))
            await b.import_(blocks_of(stream))  # 1, 2, 3
            for number in range(3):
                await receive(b, body_of(number))  # 4, 5, 6
        async with opened(tmp_path / "b") as b:
            assert await b.import_(blocks_of(stream)) == (1, 2, ())

    run(story())


def test_an_export_brings_back_what_was_deleted_here(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            stored = await receive(spool, body_of(1))
            stream = await exported(spool, stored.internal_id)
            await spool.delete([stored.internal_id])
            assert (await spool.import_(blocks_of(stream))).added == 1
            (message,) = (await queued(spool)).values()
            assert message.id > stored.internal_id
            assert await read(spool, message) == body_of(1)

    run(story())


def test_a_damaged_body_is_refused_and_the_rest_comes_in(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a") as a, opened(tmp_path / "b") as b:
            ids = [
                (await receive(a, body_of(n, size))).internal_id
                for n, size in ((1, 600), (2, 199_000), (3, 600))
            ]
            stream = bytearray(await exported(a, *ids))
            stream[len(stream) // 2] ^= 1
            found = await b.import_(blocks_of(bytes(stream)))
            assert (found.added, len(found.refused)) == (2, 1)
            assert f"{a.counts().store_id}:{ids[1]}" in found.refused[0]
            assert await b.check() == []

    run(story())


def test_a_body_that_is_lost_here_is_exported_in_its_length_and_refused_there(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a") as a, opened(tmp_path / "b") as b:
            ids = [(await receive(a, body_of(n, 200_000))).internal_id for n in range(3)]
            (tmp_path / "a" / "bodies" / str(ids[1])).write_bytes(b"short")
            found = await b.import_(blocks_of(await exported(a, *ids)))
            assert (found.added, len(found.refused)) == (2, 1)

    run(story())


def test_a_message_that_goes_after_its_record_has_begun_is_exported_whole(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a") as a, opened(tmp_path / "b") as b:
            stored = await receive(a, body_of(1))
            stream = a.export([stored.internal_id])
            record = await anext(stream)
            await a.delete([stored.internal_id])
            whole = record + b"".join([block async for block in stream])
            assert await b.import_(blocks_of(whole)) == (1, 0, ())
            (message,) = (await queued(b)).values()
            assert await read(b, message) == body_of(1)

    run(story())


@pytest.mark.parametrize("size", [600, 200_000])
def test_a_message_that_goes_before_its_body_is_read_leaves_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            stored = await receive(spool, body_of(1, size))

            async def gone(core: Core, message: QueuedMessage) -> AsyncIterator[bytes]:
                await spool.delete([message.id])
                core.bodies.remove([message.id])  # at once, where the spool does it soon
                async for block in read_body(core, message):
                    yield block

            monkeypatch.setattr(transfer, "read_body", gone)
            written = []
            with pytest.raises(NoSuchMessage):
                written += [block async for block in spool.export([stored.internal_id])]
            assert written == []

    run(story())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stream: b"From chris@contoso.com\r\n",
        lambda stream: b"no line at all",
        lambda stream: stream[:-100],
        lambda stream: stream[:-1] + b"x\n",
        lambda stream: stream.replace(b'"gatepost_message": 1', b'"gatepost_message": 2'),
        lambda stream: stream.replace(b'"recipients"', b'"receivers"'),
    ],
)
def test_what_is_no_export_is_refused(tmp_path: Path, spoil: object) -> None:
    async def story() -> None:
        assert callable(spoil)
        async with opened(tmp_path / "a") as a, opened(tmp_path / "b") as b:
            stored = await receive(a, body_of(1))
            stream = await exported(a, stored.internal_id)
            with pytest.raises(Unreadable):
                await b.import_(blocks_of(spoil(stream)))
            assert await queued(b) == {}
            assert b.status().bytes == 0

    run(story())


def test_an_import_into_a_full_spool_stops_and_can_be_repeated(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a") as a:
            ids = [(await receive(a, body_of(n))).internal_id for n in range(3)]
            stream = await exported(a, *ids)
        async with opened(tmp_path / "b", SpoolLimits(max_messages=2)) as b:
            with pytest.raises(
                NotStored, match=r"its bounds; before that, messages that came in: 2, .* safe"
            ):
                await b.import_(blocks_of(stream))
        async with opened(tmp_path / "b") as b:
            assert await b.import_(blocks_of(stream)) == (1, 2, ())

    run(story())


def test_an_import_of_half_a_file_says_what_came_in_and_can_be_repeated(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a") as a, opened(tmp_path / "b") as b:
            ids = [(await receive(a, body_of(n))).internal_id for n in range(3)]
            await b.import_(blocks_of(await exported(a, ids[0])))
            stream = await exported(a, *ids)
            with pytest.raises(Unreadable, match=r"came in: 1, and that were here already: 1; .* is safe"):
                await b.import_(blocks_of(stream[:-100]))
            assert await b.import_(blocks_of(stream)) == (1, 2, ())

    run(story())


def test_a_record_is_a_line_of_json_and_the_octets_that_it_counts(tmp_path: Path) -> None:
    async def story() -> bytes:
        async with opened(tmp_path) as spool:
            await receive(spool, body_of(1))
            with pytest.raises(NoSuchMessage):
                await exported(spool, 4)
            return await exported(spool, 1)

    line, rest = run(story()).split(b"\n", 1)
    assert json.loads(line)["gatepost_message"] == 1
    assert json.loads(line)["size"] == 600
    assert rest == body_of(1) + b"\n"
