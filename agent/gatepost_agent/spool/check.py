"""fsck: compare the database, the body files and the index with each other, and every body with its checksum."""

from functools import partial

import apsw

from gatepost_agent.spool.core import Core
from gatepost_agent.spool.errors import DamagedBody
from gatepost_agent.spool.messages import QueuedMessage
from gatepost_agent.spool.reading import read_stored_body
from gatepost_agent.spool.store import Store

_PAGE = 50


async def check(core: Core) -> list[str]:
    """See Spool.check."""
    findings = await core.writer.call(_database)
    for kept in (False, True):
        findings += await _bodies(core, kept=kept)
    in_files = await core.writer.call(Store.ids_in_files)
    orphans = sorted(i for i in core.bodies.ids() - in_files if i <= core.last_id_at_open)
    findings += [
        f"body file {queue_id} belongs to no message: it goes at the next start" for queue_id in orphans
    ]
    return findings


def _database(store: Store) -> list[str]:
    try:
        damage = store.damage()
    except (apsw.CorruptError, apsw.NotADBError) as error:
        damage = str(error)
    unreadable = [f"the row of message {queue_id} is unreadable" for queue_id in store.unreadable()]
    findings = [f"the database is damaged: {damage}; restart the agent to repair it"] if damage else []
    if strays := store.strays():
        findings.append(f"{strays} bodies in the database belong to no message")
    return findings + unreadable


async def _bodies(core: Core, *, kept: bool) -> list[str]:
    findings, after = [], 0
    while page := await core.writer.call(partial(Store.page, after=after, kept=kept, limit=_PAGE)):
        for message in page:
            try:
                async for _ in read_stored_body(core, message):
                    pass
            except DamagedBody as error:
                if _is_here(core, message):  # not delivered or deleted while we looked
                    findings.append(str(error))
        after = page[-1].id
    return findings


def _is_here(core: Core, message: QueuedMessage) -> bool:
    return message.id in core.schedule.queued or message.id in core.schedule.kept
