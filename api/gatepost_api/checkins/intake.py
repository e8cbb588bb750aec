"""One writer for all reports: whatever waits is committed as one transaction, then everybody's wait ends.

A report is acknowledged only once it is stored, so an agent may send only what changed since.
"""

import asyncio
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gatepost_api.checkins.repository import Entry, write, write_liveness
from gatepost_api.db import Database
from gatepost_api.errors import ApiError, Unavailable

GATHER_S = 0.02
LIVENESS_S = 10.0
MAX_BATCH = 500
MAX_WAITING = 20_000
log = structlog.get_logger("gatepost_api")


class Intake:
    """The queue of what reports leave behind, and the liveness of servers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Entry, asyncio.Future[None] | None]] = []
        self._heard: dict[str, tuple[datetime, bool]] = {}
        self._work = asyncio.Event()
        self._liveness_due = 0.0

    async def store(self, entry: Entry) -> None:
        """Return once the entry is committed. Unavailable when it could not be stored."""
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("Too many reports wait to be stored.", headers={"Retry-After": "5"})
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        self._work.set()
        await done

    def note(self, entry: Entry) -> None:
        """Store the entry with the next batch, without waiting for it."""
        self._waiting.append((entry, None))
        self._work.set()

    def heard(self, server_id: str, at: datetime, *, goodbye: bool = False) -> None:
        """The server was heard at this time of ours; written within some seconds, together with all others."""
        self._heard[server_id] = (at, goodbye)
        if goodbye:
            self._liveness_due = 0.0
            self._work.set()

    def last_heard(self, server_id: str) -> datetime | None:
        """What is not in the database yet."""
        entry = self._heard.get(server_id)
        return entry[0] if entry else None

    async def run(self) -> None:
        """Write batches until cancelled; what waits then is written by `finish`."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(max(0.1, min(LIVENESS_S, self._liveness_due - loop.time()))):
                    await self._work.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(GATHER_S)
            await self._round(loop.time())

    async def finish(self) -> None:
        """Write everything that still waits."""
        self._liveness_due = 0.0
        while self._waiting or self._heard:
            await self._round(0.0)

    async def _round(self, now: float) -> None:
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        if not self._waiting:
            self._work.clear()
        if batch:
            await self._write(batch)
        if self._heard and now >= self._liveness_due:
            self._liveness_due = now + LIVENESS_S
            await self._write_liveness()

    async def _write(self, batch: list[tuple[Entry, asyncio.Future[None] | None]]) -> None:
        try:
            async with self._database.writing() as session:
                await write(session, [entry for entry, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever one report does, the others are written
            await self._write_apart(batch, error)
            return
        for _, done in batch:
            if done is not None and not done.done():
                done.set_result(None)

    async def _write_apart(
        self, batch: list[tuple[Entry, asyncio.Future[None] | None]], error: Exception
    ) -> None:
        """One bad report must not hold up those of other servers: write them one by one."""
        if len(batch) > 1:
            for item in batch:
                await self._write([item])
            return
        entry, done = batch[0]
        log.error("report not stored", server_id=entry.server_id, exc_info=error)
        if done is not None and not done.done():
            done.set_exception(Unavailable("The report could not be stored.", headers={"Retry-After": "5"}))

    async def _write_liveness(self) -> None:
        heard, self._heard = self._heard, {}
        try:
            async with self._database.writing() as session:
                await write_liveness(session, heard)
        except (SQLAlchemyError, ApiError) as error:
            self._heard = heard | self._heard
            log.warning("liveness not stored", kind=type(error).__name__)
