"""The operators' side: look, hold, release, retry, delete, purge."""

from collections.abc import AsyncIterator, Iterable
from functools import partial

from gatepost_agent.spool import operators
from gatepost_agent.spool.core import Core
from gatepost_agent.spool.errors import NoSuchMessage
from gatepost_agent.spool.messages import QueuedMessage
from gatepost_agent.spool.store import Store

_PAGE = 200


class Desk:
    """Asks the writer, then lets the index follow."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def messages(self, *, kept: bool) -> AsyncIterator[QueuedMessage]:
        """See Spool.messages."""
        after = 0
        while page := await self._page(after, kept=kept):
            for message in page:
                yield message
            after = page[-1].id

    async def _page(self, after: int, *, kept: bool) -> list[QueuedMessage]:
        return await self._core.writer.call(partial(Store.page, after=after, kept=kept, limit=_PAGE))

    async def get(self, queue_id: int) -> QueuedMessage:
        """See Spool.get."""
        found = await self._core.writer.call(lambda store: store.messages([queue_id]))
        if not found:
            raise NoSuchMessage(queue_id)
        return found[0]

    async def set_held(self, ids: Iterable[int], *, held: bool) -> int:
        """See Spool.hold and Spool.release."""
        wanted = list(ids)
        changed = await self._core.writer.call(lambda store: store.mark(wanted, "held", held))
        for queue_id in changed:
            self._core.schedule.set_held(queue_id, held=held)
        self._core.due.set()
        return len(changed)

    async def retry(self, ids: Iterable[int]) -> int:
        """See Spool.retry."""
        wanted, now = list(ids), self._core.clock()
        expires_at = now + self._core.limits.expire_after_s
        done = await self._core.writer.call(
            lambda store: operators.retry(store, wanted, now=now, expires_at=expires_at)
        )
        for queue_id in done.queued:
            self._core.schedule.set_due(queue_id, now)
        for message in done.again:
            self._core.back_in_queue(message)
        self._core.due.set()
        return len(done.queued) + len(done.again)

    async def delete(self, ids: Iterable[int]) -> int:
        """See Spool.delete."""
        wanted = list(ids)
        self._core.leaving.update(wanted)  # an outcome that comes meanwhile must not be counted as well
        try:
            deleted = await self._core.writer.call(lambda store: operators.delete(store, wanted))
            self._core.gone(deleted)
        finally:
            self._core.leaving.difference_update(wanted)
        return len(deleted)

    async def purge(self) -> int:
        """See Spool.purge."""
        now = self._core.clock()
        total = 0
        while deleted := await self._core.writer.call(lambda store: operators.purge(store, now)):
            self._core.gone(deleted)
            total += len(deleted)
        return total
