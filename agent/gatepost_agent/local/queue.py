"""The queue commands: the same ones whether the agent runs (over the socket) or not (the spool opened here)."""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gatepost_agent.errors import AgentError, UsageRefused
from gatepost_agent.local.selection import Hops, Selection, next_hops, no_hops, resting, selection
from gatepost_agent.local.wire import Command, Row
from gatepost_agent.spool.errors import NoSuchMessage
from gatepost_agent.spool.messages import QueuedMessage
from gatepost_agent.spool.spool import Spool

BLOCK_BYTES = 64 * 1024
ON_THE_QUEUE_ALONE = ("hold", "release")


def queue_commands(
    spool: Spool, clock: Callable[[], float] = time.time, hops: Hops = no_hops
) -> dict[str, Command]:
    """The commands by name, for the socket and for the command line. hops: as in `Selection.holds`."""
    desk = _Desk(spool, clock, hops)
    acts = {"hold": spool.hold, "release": spool.release, "retry": spool.retry, "delete": spool.delete}
    return {
        "queue list": desk.list,
        "queue show": desk.show,
        **{f"queue {name}": desk.acting(name, act) for name, act in acts.items()},
        "queue export": desk.export,
        "queue import": desk.import_,
        "queue check": desk.check,
        "queue start": desk.start,
    }


class _Desk:
    def __init__(self, spool: Spool, clock: Callable[[], float], hops: Hops) -> None:
        self._spool = spool
        self._hops = hops
        self._clock = clock

    async def list(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        chosen = selection(arguments)
        async for message in self._chosen(chosen, kept=bool(arguments.get("kept"))):
            yield _summary(message, self._clock(), self._hops)

    async def show(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        chosen = selection(arguments)
        if not chosen.ids:
            raise UsageRefused("say which message: queue show ID")
        missing = await self._missing(chosen.ids)
        for queue_id in sorted(chosen.ids.difference(missing)):
            yield _whole(await self._spool.get(queue_id), self._clock(), self._hops)
        _tell(missing)

    def acting(self, name: str, act: Callable[[Iterable[int]], Awaitable[int]]) -> Command:
        async def run(arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
            chosen = _meant(name, arguments)
            places = (True,) if arguments.get("kept") else (False, True)
            ids = [m.id for kept in places async for m in self._chosen(chosen, kept=kept)]
            missing = await self._missing(chosen.ids.difference(ids))
            if ids or not missing:
                yield _would(ids) if arguments.get("dry_run") else {"done": await act(ids)}
            _tell(missing)

        return run

    async def export(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        """Blocks of the stream as base64; what leaves meanwhile is passed over."""
        chosen = selection(arguments)
        kept = bool(arguments.get("kept"))
        ids = [message.id async for message in self._chosen(chosen, kept=kept)]
        _tell(await self._missing(chosen.ids.difference(ids)))  # before there is a file that lacks something
        if arguments.get("dry_run"):
            yield _would(ids)
            return
        done = 0
        for queue_id in ids:
            with contextlib.suppress(NoSuchMessage):
                async for block in self._spool.export([queue_id]):
                    yield {"block": base64.b64encode(block).decode()}
                done += 1
        yield {"done": done}

    async def import_(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        path = Path(str(arguments.get("path") or ""))
        try:
            done = await self._spool.import_(_blocks(path))
        except OSError as error:
            raise UsageRefused(f"{path} cannot be read: {error.strerror}") from error
        yield {"done": done.added, "known": done.known, "refused": list(done.refused)}

    async def check(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        """A row for each problem; how far it has come, to those who ask for `progress`."""
        async for so_far in self._spool.checking():
            for problem in so_far.problems:
                yield {"problem": problem}
            if arguments.get("progress"):
                yield {"checked": so_far.done, "of": so_far.total}

    async def start(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        del arguments
        self._spool.start_delivery()
        yield {"done": self._spool.status().queued}

    async def _missing(self, ids: Iterable[int]) -> tuple[int, ...]:
        """Those that no message has, queued or kept."""
        missing = []
        for queue_id in sorted(ids):
            try:
                await self._spool.get(queue_id)
            except NoSuchMessage:
                missing.append(queue_id)
        return tuple(missing)

    async def _chosen(self, chosen: Selection, *, kept: bool) -> AsyncIterator[QueuedMessage]:
        now = self._clock()
        async for message in self._spool.messages(kept=kept):
            if chosen.holds(message, now, self._hops):
                yield message


def _meant(name: str, arguments: Mapping[str, Any]) -> Selection:
    """What an act is asked for. Raises UsageRefused."""
    chosen = selection(arguments)
    if arguments.get("kept") and name in ON_THE_QUEUE_ALONE:
        raise UsageRefused(f"{name} takes no --kept: failed and expired mail is not delivered unless retried")
    if chosen.is_everything and not arguments.get("all"):
        raise UsageRefused("say which messages: ids, a filter, or --all")
    return chosen


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while block := await asyncio.to_thread(file.read, BLOCK_BYTES):
            yield block


def _would(ids: Sequence[int]) -> Row:
    return {"would": len(ids), "ids": ids[:1000]}


def _tell(missing: Iterable[int]) -> None:
    """After what could be done for the others, as rm(1) does. Raises AgentError."""
    if told := ", ".join(map(str, missing)):
        raise AgentError(f"no message {told} in the queue")


def _summary(message: QueuedMessage, now: float, hops: Hops) -> Row:
    last = next((r for r in message.recipients if r.last_reply), None)
    return {
        "id": message.id,
        "standing": "held" if message.held else str(message.standing),
        "age_s": round(now - message.received_at),
        "size": message.size,
        "client": message.envelope.client,
        "from": message.envelope.mail_from,
        "to": [r.address for r in message.recipients],
        "attempts": message.attempts,
        "next_attempt_in_s": max(0, round(message.next_attempt - now)),
        "next_hop": last.next_hop if last else ", ".join(dict.fromkeys(next_hops(message, hops))),
        "last_reply": last.last_reply if last else "",
        "resting": resting(message, hops),
    }


def _whole(message: QueuedMessage, now: float, hops: Hops) -> Row:
    return {
        **_summary(message, now, hops),
        "message_id": message.message_id,
        "connector": message.envelope.connector,
        "principal": message.envelope.principal,
        "helo": message.envelope.helo,
        "kind": str(message.kind),
        "expires_in_s": round(message.expires_at - now),
        "origin": message.origin or "",
        "recipients": [dict(r._asdict(), status=str(r.status)) for r in message.recipients],
    }
