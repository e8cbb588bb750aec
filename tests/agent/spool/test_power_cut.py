"""Rule 3 on a disk that drops what was not synced: after a cut at any step no message answered 250 is missing."""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatepost_agent.spool.errors import DamagedBody, SpoolError
from gatepost_agent.spool.messages import Bounce, QueuedMessage, Result, SpoolLimits
from gatepost_agent.spool.spool import Spool
from tests.agent.spool.plug import PlugDisk
from tests.agent.spool.samples import body_of, envelope, outcome, queued, read, receive, run

FOLDER = Path("/spool")
LIMITS = SpoolLimits(inline_max=2000)
SMALL, LARGE = 700, 300_000


@dataclass
class Ledger:
    """What the outside world knows: `answered` was told 250; of the rest some outcomes are known to be written."""

    answered: dict[int, bytes] = field(default_factory=dict)
    settling: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    deferred: set[int] = field(default_factory=set)


class Story:
    """Receives and delivers on a disk that may be cut at any moment; whatever fails then is only not noted."""

    def __init__(self, disk: PlugDisk, synchronous: str) -> None:
        self.disk = disk
        self.synchronous = synchronous
        self.ledger = Ledger()

    async def tell(self) -> None:
        try:
            spool = await Spool.open(FOLDER, LIMITS, disk=self.disk, synchronous=self.synchronous)
        except SpoolError:
            return
        try:
            await self._chapters(spool)
        finally:
            await spool.close()

    async def _chapters(self, spool: Spool) -> None:
        await asyncio.gather(*(self._receive(spool, n, SMALL) for n in range(3)))
        await asyncio.gather(self._receive(spool, 10, LARGE), self._receive(spool, 11, SMALL))
        await self._settle_some(spool, 3)
        await self._attempt(spool._core.writer.call(lambda store: store.checkpoint()))
        await asyncio.gather(self._receive(spool, 20, LARGE), self._receive(spool, 21, SMALL))
        await self._settle_some(spool, 2)
        await self._receive(spool, 30, SMALL)

    async def _receive(self, spool: Spool, number: int, size: int) -> None:
        body = body_of(number, size)
        if stored := await self._attempt(receive(spool, body, "kate@fabrikam.com", "tony@fabrikam.com")):
            self.ledger.answered[stored.internal_id] = body

    async def _settle_some(self, spool: Spool, count: int) -> None:
        """One is done, one is done in part, one fails with a bounce."""
        for number, message in enumerate(await self._attempt(spool.take(count)) or ()):
            first, second = message.envelope.recipients
            if number == 1:
                await self._attempt(spool.settle(message.id, [outcome(first)], next_attempt=9e9))
                if not self.disk.is_cut:
                    self.ledger.deferred.add(message.id)
                continue
            self.ledger.settling.add(message.id)
            result = Result.DONE if number == 0 else Result.NEVER
            bounce = (
                None if number == 0 else Bounce(envelope("chris@contoso.com"), "<b@contoso.com>", b"sorry")
            )
            outcomes = [outcome(first, result), outcome(second, result)]
            await self._attempt(spool.settle(message.id, outcomes, bounce=bounce))
            if not self.disk.is_cut:
                self.ledger.settled.add(message.id)

    async def _attempt(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result, or None once the power is off (an outcome then waits for a disk that never comes back)."""
        task = asyncio.ensure_future(work)
        while not task.done() and not self.disk.is_cut:
            await asyncio.wait([task], timeout=0.002)
        if not task.done():
            task.cancel()
        await asyncio.wait([task])
        return None if task.cancelled() or isinstance(task.exception(), SpoolError) else task.result()


async def lost_after(story: Story, luck: random.Random | None = None) -> list[str]:
    """Start again on what is left and compare: what is wrong, in words."""
    left = story.disk.after_cut(luck)
    spool = await Spool.open(FOLDER, LIMITS, disk=left)
    ledger, wrong = story.ledger, list(spool.status().problems)
    try:
        there = await queued(spool)
        for queue_id, body in ledger.answered.items():
            if queue_id in there and await _body(spool, there[queue_id]) != body:
                wrong.append(f"{queue_id} has another body")
            if queue_id not in there and queue_id not in ledger.settling:
                wrong.append(f"{queue_id} was answered 250 and is missing")
        wrong += [f"{queue_id} was settled and is back" for queue_id in ledger.settled & there.keys()]
        wrong += [f"{i} forgot its attempt" for i in ledger.deferred & there.keys() if not there[i].attempts]
        wrong += _miscounted(spool, sum(len(m.pending) for m in there.values()), len(ledger.answered))
        if spool.begin(envelope()).id <= max(ledger.answered, default=0):
            wrong.append("an id is given twice")
    finally:
        await spool.close()
        left.close()
    return wrong


async def _body(spool: Spool, message: QueuedMessage) -> bytes | None:
    try:
        return await read(spool, message)
    except DamagedBody:
        return None


def _miscounted(spool: Spool, pending: int, answered: int) -> list[str]:
    total = {event: number for (_, event), number in spool.counts().totals.items()}
    came = total.get("recipients", 0) + total.get("reports", 0)
    went = sum(total.get(event, 0) for event in ("delivered", "bounced", "expired", "deleted"))
    wrong = [] if came == went + pending else [f"{came} recipients came, {went} went, {pending} are pending"]
    return wrong if total.get("accepted", 0) >= answered else [*wrong, "counted fewer than were answered"]


def cut_everywhere(
    synchronous: str, *, every: int = 1, forgets: frozenset[str] = frozenset(), luck: bool = False
) -> tuple[int, dict[int, list[str]]]:
    """Tell the story with the power cut before each step; returns the number of cuts and what each one lost."""
    losses: dict[int, list[str]] = {}
    for cuts, cut_at in enumerate(range(0, 10_000, every)):
        disk = PlugDisk(cut_at)
        disk.forgets = set(forgets)
        story = Story(disk, synchronous)
        run(story.tell())
        if wrong := run(lost_after(story, random.Random(cut_at) if luck else None)):
            losses[cut_at] = wrong
        disk.close()
        if not disk.is_cut:
            return cuts, losses
    raise AssertionError("the story never ends")


def test_nothing_answered_is_lost_wherever_the_power_is_cut() -> None:
    cuts, losses = cut_everywhere("full")
    assert losses == {}
    assert cuts > 120  # every write, sync, create, unlink and truncate of the story


def test_nothing_is_lost_when_some_unsynced_writes_reach_the_medium_in_any_order() -> None:
    cuts, losses = cut_everywhere("full", every=3, luck=True)
    assert losses == {}
    assert cuts > 40


def test_the_simulation_sees_what_weaker_settings_lose() -> None:
    cuts, losses = cut_everywhere("normal", every=5)
    assert len(losses) > cuts / 5
    cuts, losses = cut_everywhere("off", every=5)
    assert len(losses) > cuts / 2


def test_the_simulation_sees_a_body_or_a_name_that_was_not_synced() -> None:
    for forgotten in ("sync-body", "sync-folder"):
        _, losses = cut_everywhere("full", every=5, forgets=frozenset({forgotten}))
        assert losses
