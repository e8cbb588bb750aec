"""What every server shall run, in memory: check-ins are answered from here, without a database session.

The database's clock (`fleet_clock`) orders the changes. `catch_up` reads what changed since the value known here;
it runs after each change of this process and every few seconds for those of others. It never goes back.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog
from sqlalchemy import case, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.wire import DeniedRange
from gatepost_api.checkins.parking import Parking
from gatepost_api.db import Database
from gatepost_api.tables import Assignment, BundleRow, Denied, FleetClock, Revision, Server

POLL_S = 3.0
FARTHEST = 2**32
BATCH = 1000
CACHED_BUNDLE_BYTES = 64 * 1024 * 1024
log = structlog.get_logger("gatepost_api")


class Desired(NamedTuple):
    """What one server shall run; `digest` is None when nothing was published for it yet."""

    server_id: str
    name: str
    server_state: str
    generation: int
    digest: str | None
    revision: int | None
    state: str
    reason: str
    fqdn: str
    addresses: Mapping[str, str]
    published_at: float


async def tick(session: AsyncSession, fleet: "Fleet", *, denied: bool = False) -> int:
    """Raise the fleet clock, whose row stays locked to the commit, and hear of the change after it."""
    raised: dict[str, Any] = {"v": FleetClock.v + 1}
    if denied:
        raised["denied_v"] = FleetClock.v + 1
    query = update(FleetClock).values(**raised).returning(FleetClock.v)
    value = (await session.execute(query)).scalar_one()
    session.info.setdefault("after_commit", []).append(fleet.catch_up)
    return value


class Fleet:
    """The desired state as far as this process knows it, and the denied set."""

    def __init__(self, database: Database, parking: Parking) -> None:
        self.desired: dict[str, Desired] = {}
        self.denied: tuple[DeniedRange, ...] = ()
        self.denied_v = 0
        self.v = 0
        self._held_for = 0  # the latest denied set that servers have and this control plane does not
        self.read_at = 0.0  # by the monotonic clock
        self._database = database
        self._parking = parking
        self._bundles: dict[str, bytes] = {}
        self.edition = 0  # how often there was news
        self._catching_up = asyncio.Lock()
        self._reading = asyncio.Lock()  # a bundle
        self._news = asyncio.Event()

    async def catch_up(self) -> None:
        """Read what changed since the known value of the clock, and wake whom it concerns."""
        async with self._catching_up, self._database.reading() as session:
            clock = (await session.execute(select(FleetClock.v, FleetClock.denied_v))).one()
            self.read_at = time.monotonic()
            if clock.v <= self.v:
                return
            changed = await _assignments_since(session, self.v)
            denied = await _denied(session) if clock.denied_v > self.denied_v else None
        self.desired.update((row.server_id, row) for row in changed)
        self.v = clock.v
        if denied is None:
            self._parking.wake(row.server_id for row in changed)
        else:
            self.denied, self.denied_v = denied, clock.denied_v
            self._parking.wake(self._parking.parked())
        self.announce()

    async def learn_of_denied(self, server: str, version: int) -> None:
        """Hold the denied set if a server's is later than any issued here: the database was restored from a backup.

        Until somebody chooses, no list is made that would lift what this one holds. The clock is set to that later
        value, which it had once, so that the list that is made then is newer than what servers know. What no clock
        reaches by counting is passed over.
        """
        if version <= max(self.denied_v, self._held_for) or version >= self.v + FARTHEST:
            return
        unknown = (FleetClock.denied_v < version) & (FleetClock.denied_ahead_v < version)
        v = case((FleetClock.v < version, version), else_=FleetClock.v)
        query = update(FleetClock).where(unknown).values(denied_ahead_v=version, v=v).returning(FleetClock.v)
        async with self._database.writing() as session:
            held = (await session.execute(query)).first() is not None
        self._held_for = version
        if held:  # else another process has issued it, or was told before
            log.warning("denied set held", server=server, version=version, known=self.denied_v)
        await self.catch_up()

    async def bundle(self, digest: str) -> bytes | None:
        """The envelope of a bundle as JSON; kept in memory within a bound, since many agents ask for one.

        They ask at once: one of them reads it, for the readers' connections are everybody's.
        """
        async with self._reading:
            if digest not in self._bundles and not await self._read_bundle(digest):
                return None
            return self._bundles[digest]

    async def _read_bundle(self, digest: str) -> bool:
        async with self._database.reading() as session:
            row = await session.get(BundleRow, digest)
        if row is None:
            return False
        held = sum(len(kept) for kept in self._bundles.values())
        if held + len(row.envelope) > CACHED_BUNDLE_BYTES:
            self._bundles.clear()
        self._bundles[digest] = row.envelope
        return True

    def announce(self) -> None:
        """Tell everybody who waits for news of the fleet that there are some."""
        self.edition += 1
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, known: int, seconds: float) -> bool:
        """Wait for an edition after the known one; False when the time is over first."""
        if self.edition > known:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def follow(self) -> None:
        """Look at the clock every few seconds until cancelled: other processes change the fleet too."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.catch_up()
            except Exception:
                log.exception("fleet clock not read")


async def _assignments_since(session: AsyncSession, v: int) -> list[Desired]:
    """Columns, not entities, and each revision's time once: a publish changes every server's row."""
    revisions = select(Assignment.revision).where(Assignment.v > v).distinct()
    times = select(Revision.number, Revision.created_at).where(Revision.number.in_(revisions))
    published = {number: at.timestamp() for number, at in (await session.execute(times)).all()}
    query = (
        select(Server.id, Server.name, Server.state)
        .add_columns(Assignment.generation, Assignment.digest, Assignment.revision, Assignment.state)
        .add_columns(Assignment.reason, Server.published_fqdn, Server.published_addresses)
        .join(Assignment, Assignment.server_id == Server.id)
        .where(Assignment.v > v)
        .order_by(Server.id)
        .limit(BATCH)
    )
    found: list[Desired] = []
    while True:  # in batches: in between, others get their turn on the loop
        rows = (await session.execute(query.where(Server.id > (found[-1].server_id if found else "")))).all()
        found += [Desired._make((*row, published.get(row.revision, 0.0))) for row in rows]
        if len(rows) < BATCH:
            return found


async def _denied(session: AsyncSession) -> tuple[DeniedRange, ...]:
    rows = (await session.scalars(select(Denied).order_by(Denied.id))).all()
    return tuple(DeniedRange(range=row.address_range, source="block", reason=row.reason) for row in rows)
