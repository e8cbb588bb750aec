"""The spool as its users see it, on the real disk."""

import asyncio
from pathlib import Path

import pytest
import uvloop

from gatepost_agent.spool.errors import NoSuchMessage, NotStored, SpoolClosed, SpoolInUse
from gatepost_agent.spool.messages import (
    Bounce,
    Kind,
    QueuedMessage,
    RecipientStatus,
    Result,
    SpoolLimits,
    Standing,
)
from gatepost_agent.spool.spool import Spool
from tests.agent.spool.samples import body_of, envelope, kept, opened, outcome, queued, read, receive, run
from tests.support.waiting import eventually

KATE, TONY = "kate@fabrikam.com", "tony@fabrikam.com"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def take_one(spool: Spool) -> QueuedMessage:
    async with asyncio.timeout(5):
        (message,) = await spool.take(1)
    return message


def test_a_message_comes_back_as_it_came_with_its_envelope(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, clock=Clock()) as spool:
            stored = await receive(spool, body_of(1), KATE, TONY)
            message = await take_one(spool)
            assert (message.id, message.message_id) == stored
            assert message.envelope == envelope(KATE, TONY)
            assert message.pending == (KATE, TONY)
            assert (message.size, message.received_at) == (600, 1_000_000.0)
            assert message.expires_at == 1_000_000.0 + 2 * 86_400
            assert await read(spool, message) == body_of(1)

    run(story())


@pytest.mark.parametrize("size", [0, 1, 65_537, 131_072, 131_073, 3_000_000])
def test_a_body_of_any_size_survives_a_restart(tmp_path: Path, size: int) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            stored = await receive(spool, body_of(1, size), block=50_000)
        async with opened(tmp_path) as spool:
            message = await take_one(spool)
            assert message.id == stored.internal_id
            assert await read(spool, message) == body_of(1, size)
            assert await spool.check() == []
        assert len(list((tmp_path / "bodies").iterdir())) == (size > 131_072)

    run(story())


def test_the_files_are_for_the_owner_only(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "spool") as spool:
            await receive(spool, body_of(1, 200_000))
            paths = [tmp_path / "spool", *(tmp_path / "spool").rglob("*")]
            assert {p.name: p.stat().st_mode & 0o777 for p in paths} == {
                "spool": 0o700,
                "bodies": 0o700,
                "1": 0o600,
                "spool.db": 0o600,
                "spool.db-wal": 0o600,
            }

    run(story())


def test_a_delivered_message_is_gone_with_its_file_and_its_id_is_never_given_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            await receive(spool, body_of(1, 200_000))
            message = await take_one(spool)
            assert await spool.settle(message.id, [outcome(KATE)]) is None
            assert await queued(spool) == {}
            await eventually(lambda: not list((tmp_path / "bodies").iterdir()))
            assert spool.status().bytes == 0
        async with opened(tmp_path) as spool:
            assert await queued(spool) == {}
            assert spool.begin(envelope()).id > message.id

    run(story())


def test_outcomes_are_kept_per_recipient(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            await receive(spool, body_of(1), KATE, TONY)
            message = await take_one(spool)
            later = message.next_attempt + 600
            after = await spool.settle(
                message.id, [outcome(KATE), outcome(TONY, Result.NOT_NOW, "451 4.3.0 busy")], later
            )
            assert after is not None
            assert (after.pending, after.attempts, after.next_attempt) == ((TONY,), 1, later)
        async with opened(tmp_path) as spool:
            (message,) = (await queued(spool)).values()
            assert message.pending == (TONY,)
            assert message.recipients[1].last_reply == "451 4.3.0 busy"
            assert message.recipients[1].next_hop == "smtp.contoso.com:25"
            assert message.next_attempt == later
            assert spool.counts().totals["Anonymous Relay", "delivered"] == 1

    run(story())


def test_without_a_next_attempt_the_message_stays_with_delivery_and_the_outcome_is_safe(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            await receive(spool, body_of(1), KATE, TONY)
            message = await take_one(spool)
            await spool.settle(message.id, [outcome(KATE)])
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await spool.take(1)
            assert (await spool.get(message.id)).pending == (TONY,)
            assert await spool.settle(message.id, [outcome(TONY)]) is None
            assert await queued(spool) == {}

    run(story())


def test_a_message_put_back_is_due_later_and_nothing_was_attempted(tmp_path: Path) -> None:
    async def story() -> None:
        clock = Clock()
        async with opened(tmp_path, clock=clock) as spool:
            await receive(spool, body_of(1))
            message = await take_one(spool)
            spool.put_back(message.id, clock.now + 60)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await spool.take(1)
            clock.now += 60
            assert (await take_one(spool)).attempts == 0

    run(story())


def test_take_wakes_up_when_a_message_comes_and_when_one_becomes_due(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            taking = asyncio.ensure_future(take_one(spool))
            await asyncio.sleep(0)
            await receive(spool, body_of(1))
            message = await taking
            loop = asyncio.get_running_loop()
            began = loop.time()
            spool.put_back(message.id, message.next_attempt + 0.2)
            assert (await take_one(spool)).id == message.id
            assert loop.time() - began < 2

    run(story())


def test_an_undeliverable_message_is_kept_for_operators_then_purged(tmp_path: Path) -> None:
    async def story() -> None:
        clock = Clock()
        async with opened(tmp_path, SpoolLimits(keep_s=100), clock=clock) as spool:
            for result in (Result.NEVER, Result.EXPIRED):
                await receive(spool, body_of(1), KATE)
                message = await take_one(spool)
                assert await spool.settle(message.id, [outcome(KATE, result, "550 5.1.1 no")]) is None
            found = list((await kept(spool)).values())
            assert [message.standing for message in found] == [Standing.FAILED, Standing.EXPIRED]
            assert found[0].recipients[0].last_reply == "550 5.1.1 no"
            assert await read(spool, found[0]) == body_of(1)
            assert spool.status().kept == 2
            clock.now += 99
            assert await spool.purge() == 0
            clock.now += 1
            assert await spool.purge() == 2
            assert (await kept(spool), spool.status().bytes) == ({}, 0)

    run(story())


def test_a_kept_message_can_be_retried_for_whom_it_did_not_reach(tmp_path: Path) -> None:
    async def story() -> None:
        clock = Clock()
        async with opened(tmp_path, clock=clock) as spool:
            await receive(spool, body_of(1), KATE, TONY)
            message = await take_one(spool)
            await spool.settle(message.id, [outcome(KATE), outcome(TONY, Result.NEVER, "550 5.1.1 no")])
            clock.now += 500_000
            assert await spool.retry([message.id, 999]) == 1
            again = await take_one(spool)
            assert again.pending == (TONY,)
            assert again.recipients[0].status is RecipientStatus.DONE
            assert again.expires_at == clock.now + 2 * 86_400
            assert again.lives_from == again.retried_at == clock.now
            assert await read(spool, again) == body_of(1)

    run(story())


def test_a_queued_message_can_be_retried_and_lives_no_longer_for_it(tmp_path: Path) -> None:
    async def story() -> None:
        clock = Clock()
        async with opened(tmp_path, clock=clock) as spool:
            await receive(spool, body_of(1), KATE)
            message = await take_one(spool)
            await spool.settle(message.id, [outcome(KATE, Result.NOT_NOW)], clock.now + 1800)
            clock.now += 60
            assert await spool.retry([message.id]) == 1
            again = await take_one(spool)
            assert (again.retried_at, again.expires_at) == (clock.now, message.expires_at)
            spool.put_back(message.id, clock.now + 1)
            clock.now += 1
            assert (await take_one(spool)).retried_at == clock.now - 1  # not attempted yet
            await spool.settle(message.id, [outcome(KATE, Result.NOT_NOW)], clock.now + 30)
            assert (await spool.get(message.id)).retried_at is None

    run(story())


def test_a_bounce_goes_in_with_the_outcome_that_caused_it(tmp_path: Path) -> None:
    async def story() -> None:
        report = envelope("chris@contoso.com")._replace(mail_from="")
        async with opened(tmp_path) as spool:
            await receive(spool, body_of(1), KATE)
            message = await take_one(spool)
            bounce = Bounce(report, "<bounce@relay.contoso.com>", b"Subject: Undeliverable\r\n\r\n")
            await spool.settle(message.id, [outcome(KATE, Result.NEVER, "550 no")], bounce=bounce)
            bounced = await take_one(spool)
            assert (bounced.kind, bounced.envelope) == (Kind.BOUNCE, report)
            assert bounced.message_id == "<bounce@relay.contoso.com>"
            assert await read(spool, bounced) == bounce.body
        async with opened(tmp_path) as spool:
            assert await read(spool, await take_one(spool)) == bounce.body

    run(story())


def test_held_messages_wait_until_released_also_over_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            first = await receive(spool, body_of(1))
            second = await receive(spool, body_of(2))
            assert await spool.hold([first.internal_id, 77]) == 1
            assert (await take_one(spool)).id == second.internal_id
        async with opened(tmp_path) as spool:
            assert (await take_one(spool)).id == second.internal_id
            assert (spool.status().held, spool.status().queued) == (1, 1)
            assert (await spool.get(first.internal_id)).held
            await spool.release([first.internal_id])
            assert (await take_one(spool)).id == first.internal_id

    run(story())


def test_a_message_held_while_it_is_tried_stays_held(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            await receive(spool, body_of(1))
            message = await take_one(spool)
            await spool.hold([message.id])
            await spool.settle(message.id, [outcome(KATE, Result.NOT_NOW)], next_attempt=0.0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await spool.take(1)
            assert (await spool.get(message.id)).held

    run(story())


def test_a_deleted_message_is_gone_and_a_late_outcome_changes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            await receive(spool, body_of(1), KATE, TONY)
            message = await take_one(spool)
            assert await spool.delete([message.id, 99]) == 1
            assert await spool.settle(message.id, [outcome(KATE)], 1.0) is None
            with pytest.raises(NoSuchMessage):
                await spool.get(message.id)
            totals = spool.counts().totals
            assert totals["Anonymous Relay", "deleted"] == 2
            assert ("Anonymous Relay", "delivered") not in totals
            assert await spool.check() == []

    run(story())


def test_nothing_is_handed_out_while_the_queue_is_held_as_a_whole(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, hold_queue=True) as spool:
            await receive(spool, body_of(1))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await spool.take(1)
            spool.start_delivery()
            await take_one(spool)

    run(story())


def test_counts_go_on_over_a_restart_and_add_up(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            await receive(spool, body_of(1), KATE, TONY)
            store_id = spool.counts().store_id
        async with opened(tmp_path) as spool:
            message = await take_one(spool)
            await spool.settle(message.id, [outcome(KATE), outcome(TONY, Result.NEVER)])
            counts = spool.counts()
        assert counts.store_id == store_id
        assert {event: number for (_, event), number in counts.totals.items()} == {
            "accepted": 1,
            "recipients": 2,
            "delivered": 1,
            "bounced": 1,
        }

    run(story())


def test_the_count_bound_refuses_before_data_and_recovers(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, SpoolLimits(max_messages=2)) as spool:
            await receive(spool, body_of(1))
            await receive(spool, body_of(2))
            assert (spool.room(), spool.fill()) == ("full", 1.0)
            assert spool.status().room == "full"
            with pytest.raises(NotStored) as refused:
                spool.begin(envelope())
            assert refused.value.why == "full"
            message = await take_one(spool)
            await spool.settle(message.id, [outcome(KATE)])
            assert spool.room() == "ok"

    run(story())


def test_the_bound_in_octets_counts_what_is_on_its_way_and_what_is_kept(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, SpoolLimits(max_bytes=300_000)) as spool:
            assert spool.room(300_001) == "full"
            incoming = spool.begin(envelope())
            incoming.write(bytes(200_000))
            assert spool.room(100_001) == "full"
            await incoming.commit("<1@x>")
            assert (spool.room(100_000), spool.room(100_001)) == ("ok", "full")
            assert 0.66 < spool.fill() < 0.67
            message = await take_one(spool)
            await spool.settle(message.id, [outcome(KATE, Result.NEVER)])
            assert spool.room(100_001) == "full"
            await spool.delete([message.id])
            assert spool.room(300_000) == "ok"

    run(story())


def test_an_abandoned_message_leaves_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, SpoolLimits(max_bytes=2_000_000)) as spool:
            incoming = spool.begin(envelope())
            for _ in range(4):
                incoming.write(bytes(250_000))
                await incoming.drain()
            await incoming.abandon()
            assert list((tmp_path / "bodies").iterdir()) == []
            assert spool.room(2_000_000) == "ok"
            assert await queued(spool) == {}

    run(story())


@pytest.mark.parametrize("size", [500, 500_000])
def test_a_client_that_leaves_during_the_commit_changes_nothing(tmp_path: Path, size: int) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            incoming = spool.begin(envelope())
            incoming.write(body_of(1, size))
            commit = asyncio.ensure_future(incoming.commit("<1@x>"))
            await asyncio.sleep(0)  # it has begun
            assert commit.cancel()
            await asyncio.wait([commit])
            assert commit.cancelled()
            message = await take_one(spool)
            assert await read(spool, message) == body_of(1, size)

    run(story())


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path):
            with pytest.raises(SpoolInUse, match="in use"):
                await Spool.open(tmp_path)

    run(story())


def test_a_closed_spool_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            incoming = spool.begin(envelope())
        with pytest.raises(SpoolClosed):
            await incoming.commit("<1@x>")

    run(story())


def test_a_thousand_commits_at_once_are_a_few_transactions(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            stored = await asyncio.gather(*(receive(spool, body_of(n)) for n in range(1000)))
            status = spool.status()
            assert status.transactions < 60
            assert 0 < status.commit_s < 60
            assert len({one.internal_id for one in stored}) == 1000
            assert len(await queued(spool)) == 1000

    run(story())


def test_a_message_just_received_is_delivered_without_reading_the_disk(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            await receive(spool, body_of(1))
            await spool._core.writer.call(lambda store: store._db.execute("DELETE FROM bodies"))
            assert await read(spool, await take_one(spool)) == body_of(1)

    run(story())


def test_a_backlog_that_memory_does_not_hold_is_read_from_the_disk_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, SpoolLimits(resident_bytes=20_000)) as spool:
            for number in range(30):
                await receive(spool, body_of(number))
            messages: list[QueuedMessage] = []
            while len(messages) < 30:
                messages += await spool.take(7)
            assert [message.id for message in messages] == sorted(message.id for message in messages)
            assert [await read(spool, message) for message in messages] == [body_of(n) for n in range(30)]

    run(story())


def test_it_runs_on_uvloop_as_well(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as spool:
            for number, size in ((1, 500), (2, 400_000)):
                await receive(spool, body_of(number, size))
                message = await take_one(spool)
                assert await read(spool, message) == body_of(number, size)
                assert await spool.settle(message.id, [outcome(KATE)]) is None

    uvloop.run(story())


def test_a_message_that_outgrows_the_spools_bound_while_it_comes_is_stopped_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with opened(tmp_path, SpoolLimits(max_bytes=2_000_000)) as spool:
            incoming, written = spool.begin(envelope()), 0

            async def stream() -> None:
                nonlocal written
                while written < 5_000_000:
                    incoming.write(bytes(64 * 1024))
                    written += 64 * 1024
                    await incoming.drain()

            with pytest.raises(NotStored) as refused:
                await stream()
            assert refused.value.why == "full"
            assert written < 2_200_000
            await incoming.abandon()
            assert list((tmp_path / "bodies").iterdir()) == []
            assert (spool.room(), spool.free()) == ("ok", 2_000_000)

    run(story())
