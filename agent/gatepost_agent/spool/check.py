"""fsck: compare the database, the body files and the index with each other, and every body with its checksum.

The writer's thread goes through rows and bodies in one pass, a page at a time: between two pages it commits what waits.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator
from contextlib import closing
from functools import partial
from typing import NamedTuple

import apsw

from gatepost_agent.spool.core import Core
from gatepost_agent.spool.errors import DamagedBody
from gatepost_agent.spool.messages import QueuedMessage
from gatepost_agent.spool.reading import compare, compare_file
from gatepost_agent.spool.store import Store

_PAGE = 200  # messages
_PAGE_OCTETS = 2 * 1024 * 1024  # of their bodies: 10 ms


class Checked(NamedTuple):
    """How far a check has come: `done` of about `total` messages. problems: found since the last of these."""

    done: int
    total: int
    problems: tuple[str, ...] = ()


async def check(core: Core) -> AsyncGenerator[Checked, None]:
    """See Spool.checking."""
    done, total, after = 0, len(core.schedule.queued) + len(core.schedule.kept), 0
    yield Checked(done, total)
    yield Checked(done, total, tuple(await core.writer.call(_database)))
    last = await core.writer.call(Store.last_id)  # what comes in meanwhile would be followed for ever
    while (page := await core.writer.call(partial(_look, after=after, last=last))).ids:
        after = page.ids[-1]
        done += len(page.ids)
        damaged = [*page.damaged, *await _files(core, page.in_files)]
        # Those that are no longer here were delivered or deleted while we looked.
        told = [str(why) for message, why in damaged if _is_here(core, message)]
        yield Checked(done, max(total, done), (*page.unreadable, *told))
    yield Checked(done, done, tuple(await _orphans(core)))


def _database(store: Store) -> list[str]:
    try:
        damage = store.damage()
    except (apsw.CorruptError, apsw.NotADBError) as error:
        damage = str(error)
    findings = [f"the database is damaged: {damage}; restart the agent to repair it"] if damage else []
    if strays := store.strays():
        findings.append(f"{strays} bodies in the database belong to no message")
    return findings


class _Page(NamedTuple):
    ids: list[int]
    unreadable: list[str]
    damaged: list[tuple[QueuedMessage, DamagedBody]]
    in_files: list[QueuedMessage]


def _look(store: Store, after: int, last: int) -> _Page:
    page, octets = _Page([], [], [], []), 0
    with closing(store.whole(after, last)) as rows:
        for queue_id, message, body in rows:
            page.ids.append(queue_id)
            if message is None:
                page.unreadable.append(f"the row of message {queue_id} is unreadable")
            elif message.body_at is not None:
                page.in_files.append(message)
            elif why := _damage(message, body):
                page.damaged.append((message, why))
            octets += len(body or b"")
            if len(page.ids) == _PAGE or octets > _PAGE_OCTETS:
                break
    return page


def _damage(message: QueuedMessage, body: bytes | None) -> DamagedBody | None:
    if body is None:
        return DamagedBody(f"the body of message {message.id} is lost")
    try:
        compare(message, len(body), zlib.crc32(body))
    except DamagedBody as error:
        return error
    return None


async def _files(core: Core, messages: list[QueuedMessage]) -> list[tuple[QueuedMessage, DamagedBody]]:
    damaged = []
    for message in messages:
        try:
            await asyncio.get_running_loop().run_in_executor(core.workers, compare_file, core, message)
        except DamagedBody as error:
            damaged.append((message, error))
    return damaged


def _is_here(core: Core, message: QueuedMessage) -> bool:
    return message.id in core.schedule.queued or message.id in core.schedule.kept


async def _orphans(core: Core) -> list[str]:
    in_files = await core.writer.call(Store.ids_in_files)
    there = await asyncio.get_running_loop().run_in_executor(core.workers, core.bodies.ids)
    orphans = sorted(i for i in there - in_files if i <= core.last_id_at_open)
    return [f"body file {queue_id} belongs to no message: it goes at the next start" for queue_id in orphans]
