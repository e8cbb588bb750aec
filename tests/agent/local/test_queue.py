"""The queue commands on a real spool."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gatepost.policy.dialogue.decision import Envelope
from gatepost_agent.errors import AgentError, UsageRefused
from gatepost_agent.local.queue import queue_commands
from gatepost_agent.local.tools import export
from gatepost_agent.local.wire import Row
from gatepost_agent.spool.messages import Outcome, Result, SpoolLimits
from gatepost_agent.spool.spool import Spool

LIMITS = SpoolLimits(free_floor=0)


async def _put(spool: Spool, client: str, recipient: str) -> int:
    envelope = Envelope(
        connector="Relay",
        principal="",
        client=client,
        helo="x",
        mail_from="a@contoso.com",
        recipients=(recipient,),
    )
    incoming = spool.begin(envelope)
    incoming.write(b"Subject: x\r\n\r\nhello\r\n")
    return (await incoming.commit(f"<{recipient}>")).internal_id


async def _told(
    spool: Spool, command: str, arguments: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    return [row async for row in queue_commands(spool)[command](arguments or {})]


async def _opened(folder: Path) -> AsyncIterator[Spool]:
    spool = await Spool.open(folder, LIMITS)
    try:
        yield spool
    finally:
        await spool.close()


def test_list_hold_release_and_delete_by_filter(tmp_path: Path) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            one = await _put(spool, "10.0.0.1", "kate@fabrikam.com")
            two = await _put(spool, "10.0.0.2", "kim@fabrikam.com")
            assert [row["id"] for row in await _told(spool, "queue list")] == [one, two]
            assert await _told(spool, "queue hold", {"client": "10.0.0.1", "dry_run": True}) == [
                {"would": 1, "ids": [one]}
            ]
            assert await _told(spool, "queue hold", {"client": "10.0.0.1"}) == [{"done": 1}]
            [held] = await _told(spool, "queue list", {"client": "10.0.0.1"})
            assert (held["standing"], held["to"]) == ("held", ["kate@fabrikam.com"])
            assert await _told(spool, "queue release", {"ids": [one]}) == [{"done": 1}]
            assert await _told(spool, "queue delete", {"to": "kim@fabrikam.com"}) == [{"done": 1}]
            assert [row["id"] for row in await _told(spool, "queue list")] == [one]

    asyncio.run(story())


def test_show_tells_each_recipient(tmp_path: Path) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            one = await _put(spool, "10.0.0.1", "kate@fabrikam.com")
            await spool.take(1)
            await spool.settle(
                one, [Outcome("kate@fabrikam.com", Result.NOT_NOW, "451 later", "hop:25")], 2e9
            )
            [row] = await _told(spool, "queue show", {"ids": [one]})
            assert row["recipients"][0]["last_reply"] == "451 later"
            assert row["next_hop"] == "hop:25"
            with pytest.raises(AgentError, match="99"):
                await _told(spool, "queue show", {"ids": [99]})

    asyncio.run(story())


def test_an_id_that_nobody_has_is_named_after_the_others_are_shown(tmp_path: Path) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            one = await _put(spool, "10.0.0.1", "kate@fabrikam.com")
            rows = queue_commands(spool)["queue show"]({"ids": [98, one, 99]})
            assert (await anext(rows))["id"] == one
            with pytest.raises(AgentError, match="no message 98, 99 in the queue"):
                await anext(rows)

    asyncio.run(story())


@pytest.mark.parametrize("command", ["hold", "release", "retry", "delete"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_an_id_that_nobody_has_is_named_after_the_others_are_done(
    tmp_path: Path, command: str, dry_run: bool
) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            one = await _put(spool, "10.0.0.1", "kate@fabrikam.com")
            given = {"dry_run": dry_run}
            with pytest.raises(AgentError, match="no message 99 in the queue"):
                await anext(queue_commands(spool)[f"queue {command}"]({"ids": [99], **given}))
            rows = queue_commands(spool)[f"queue {command}"]({"ids": [99, one], **given})
            assert await anext(rows) == ({"would": 1, "ids": [one]} if dry_run else {"done": 1})
            with pytest.raises(AgentError, match="no message 99 in the queue"):
                await anext(rows)

    asyncio.run(story())


def test_an_id_that_another_filter_leaves_out_is_no_unknown_one(tmp_path: Path) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            one = await _put(spool, "10.0.0.1", "kate@fabrikam.com")
            assert await _told(spool, "queue hold", {"ids": [one], "client": "10.9.9.9"}) == [{"done": 0}]

    asyncio.run(story())


def test_a_failed_message_is_kept_and_can_be_tried_again(tmp_path: Path) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            one = await _put(spool, "10.0.0.1", "kate@fabrikam.com")
            await spool.take(1)
            await spool.settle(one, [Outcome("kate@fabrikam.com", Result.NEVER, "550 no", "hop:25")])
            assert await _told(spool, "queue list") == []
            assert [row["id"] for row in await _told(spool, "queue list", {"kept": True})] == [one]
            assert await _told(spool, "queue retry", {"ids": [one]}) == [{"done": 1}]
            assert [row["id"] for row in await _told(spool, "queue list")] == [one]

    asyncio.run(story())


async def _one_queued_and_one_kept(spool: Spool) -> tuple[int, int]:
    failed = await _put(spool, "10.0.0.1", "kate@fabrikam.com")
    await spool.take(1)
    await spool.settle(failed, [Outcome("kate@fabrikam.com", Result.NEVER, "550 no", "hop:25")])
    return await _put(spool, "10.0.0.1", "kim@fabrikam.com"), failed


@pytest.mark.parametrize("given", [{"all": True}, {"client": "10.0.0.1"}])
def test_deleting_what_is_kept_leaves_the_queue_alone(tmp_path: Path, given: dict[str, Any]) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            waiting, failed = await _one_queued_and_one_kept(spool)
            asked = {"kept": True, **given}
            would = await _told(spool, "queue delete", {**asked, "dry_run": True})
            assert would == [{"would": 1, "ids": [failed]}]
            assert await _told(spool, "queue delete", {"kept": True, "ids": [waiting]}) == [{"done": 0}]
            assert await _told(spool, "queue delete", asked) == [{"done": 1}]
            assert [row["id"] for row in await _told(spool, "queue list")] == [waiting]
            assert await _told(spool, "queue list", {"kept": True}) == []

    asyncio.run(story())


def test_deleting_everything_takes_what_is_kept_as_well(tmp_path: Path) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            await _one_queued_and_one_kept(spool)
            assert await _told(spool, "queue delete", {"all": True}) == [{"done": 2}]

    asyncio.run(story())


def test_retrying_what_is_kept_leaves_the_schedule_of_the_queue_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            _, failed = await _one_queued_and_one_kept(spool)
            asked = {"kept": True, "all": True, "dry_run": True}
            assert await _told(spool, "queue retry", asked) == [{"would": 1, "ids": [failed]}]

    asyncio.run(story())


@pytest.mark.parametrize("command", ["hold", "release"])
def test_what_is_kept_can_neither_be_held_nor_released(tmp_path: Path, command: str) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            waiting, _ = await _one_queued_and_one_kept(spool)
            with pytest.raises(UsageRefused, match=f"{command} takes no --kept: .* is not delivered"):
                await _told(spool, f"queue {command}", {"kept": True, "ids": [waiting]})

    asyncio.run(story())


@pytest.mark.parametrize("command", ["hold", "release", "retry", "delete"])
def test_no_act_on_everything_by_accident(tmp_path: Path, command: str) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            await _put(spool, "10.0.0.1", "kate@fabrikam.com")
            with pytest.raises(UsageRefused, match="--all"):
                await _told(spool, f"queue {command}")
            assert await _told(spool, f"queue {command}", {"all": True}) == [{"done": 1}]

    asyncio.run(story())


def test_export_and_import_move_mail_once(tmp_path: Path) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "one"):
            await _put(spool, "10.0.0.1", "kate@fabrikam.com")
            rows = await _told(spool, "queue export")
            (tmp_path / "mail").write_bytes(
                b"".join(base64.b64decode(r["block"]) for r in rows if "block" in r)
            )
            assert rows[-1] == {"done": 1}
            with pytest.raises(AgentError, match="no message 98, 99 in the queue"):
                await _told(spool, "queue export", {"ids": [1, 98, 99]})
        async for spool in _opened(tmp_path / "two"):
            arguments = {"path": str(tmp_path / "mail")}
            assert await _told(spool, "queue import", arguments) == [{"done": 1, "known": 0, "refused": []}]
            assert await _told(spool, "queue import", arguments) == [{"done": 0, "known": 1, "refused": []}]
            with pytest.raises(UsageRefused, match="cannot be read"):
                await _told(spool, "queue import", {"path": str(tmp_path / "none")})
            (tmp_path / "junk").write_bytes(b"hello\n")
            with pytest.raises(AgentError, match="not an exported message"):
                await _told(spool, "queue import", {"path": str(tmp_path / "junk")})
            assert await _told(spool, "queue check") == []

    asyncio.run(story())


def test_an_export_passes_over_what_is_delivered_meanwhile_and_counts_the_rest(tmp_path: Path) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "one"):
            for recipient in ("kate@fabrikam.com", "kim@fabrikam.com", "tony@fabrikam.com"):
                await _put(spool, "10.0.0.1", recipient)
            rows = queue_commands(spool)["queue export"]({})
            begun = await anext(rows)
            _, second, _ = await spool.take(3)
            await spool.settle(second.id, [Outcome("kim@fabrikam.com", Result.DONE, "250 ok", "hop:25")])
            *blocks, last = [begun, *[row async for row in rows]]
            assert last == {"done": 2}
            (tmp_path / "mail").write_bytes(b"".join(base64.b64decode(row["block"]) for row in blocks))
        async for spool in _opened(tmp_path / "two"):
            arguments = {"path": str(tmp_path / "mail")}
            assert await _told(spool, "queue import", arguments) == [{"done": 2, "known": 0, "refused": []}]

    asyncio.run(story())


def test_a_held_queue_is_started(tmp_path: Path) -> None:
    async def story() -> None:
        spool = await Spool.open(tmp_path / "spool", LIMITS, hold_queue=True)
        try:
            await _put(spool, "10.0.0.1", "kate@fabrikam.com")
            assert await _told(spool, "queue start") == [{"done": 1}]
            assert len(await spool.take(5)) == 1
        finally:
            await spool.close()

    asyncio.run(story())


def test_a_check_tells_how_far_it_is_only_to_those_who_ask(tmp_path: Path) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            await _put(spool, "10.0.0.1", "kate@fabrikam.com")
            assert await _told(spool, "queue check") == []
            rows = await _told(spool, "queue check", {"progress": True})
            assert (rows[0], rows[-1]) == ({"checked": 0, "of": 1}, {"checked": 1, "of": 1})

    asyncio.run(story())


def _dead_for_fabrikam(recipient: str) -> dict[str, str]:
    return {"dead.contoso.net:25": "refused"} if recipient.endswith("@fabrikam.com") else {}


def test_mail_behind_a_hop_that_answers_nobody_is_listed_and_held_by_it(tmp_path: Path) -> None:
    async def story() -> None:
        async for spool in _opened(tmp_path / "spool"):
            one = await _put(spool, "10.0.0.1", "kate@fabrikam.com")
            await _put(spool, "10.0.0.1", "kate@elsewhere.com")
            commands = queue_commands(spool, hops=_dead_for_fabrikam)
            rows = [row async for row in commands["queue list"]({"next_hop": "dead.contoso.net"})]
            told = [(row["id"], row["next_hop"], row["resting"]) for row in rows]
            assert told == [(one, "dead.contoso.net:25", {"dead.contoso.net:25": "refused"})]
            assert [row async for row in commands["queue hold"]({"next_hop": "dead.contoso.net"})] == [
                {"done": 1}
            ]

    asyncio.run(story())


def test_an_export_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def rows() -> Iterator[Row]:
        yield {"block": base64.b64encode(b"half").decode()}
        raise AgentError("the agent stopped")

    target = tmp_path / "mail"
    with pytest.raises(AgentError, match="stopped"):
        export(rows(), str(target))
    assert not target.exists()
    assert export(iter([{"done": 0}]), str(target)) == {"done": 0}
    with pytest.raises(AgentError, match="cannot be made"):
        export(iter([{"done": 0}]), str(target))
