"""Device rows and range hits of reports, merged and kept within a bound for each server."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.wire import CheckinRequest
from gatepost_api.checkins.sightings import OVERFLOW, Sighting, absorbed, age, sighted
from gatepost_api.db import upsert
from gatepost_api.tables import Device, RangeHit

MAX_DEVICES = 5000  # of one server
MAX_HITS = 20_000
ROOM = 10  # a tenth is cleared at once, so that not every report has to make room
KEYS_AT_ONCE = 500

DEVICE_KEYS = ("server_id", "address", "connector")
HIT_KEYS = ("server_id", "connector", "range")


class DeviceKey(NamedTuple):
    server_id: str
    address: str
    connector: str


class HitKey(NamedTuple):
    server_id: str
    connector: str
    range: str


Hit = tuple[HitKey, datetime]


async def write_devices(
    session: AsyncSession, reports: Sequence[tuple[str, datetime, CheckinRequest]]
) -> None:
    """Store what reports (server id, when it came, report) say of devices and range hits."""
    hits = [
        (HitKey(server_id, row.connector[:255], row.range[:255]), at - age(row.age_s))
        for server_id, at, report in reports
        for row in report.hits
    ]
    await _store_hits(session, [*hits, *await _store_seen(session, reports)])


async def _store_seen(
    session: AsyncSession, reports: Sequence[tuple[str, datetime, CheckinRequest]]
) -> list[Hit]:
    """Store the devices; returns the hits that their rows tell of, which is all that older agents say of hits."""
    listed = [
        (DeviceKey(server_id, row.address[:64], row.connector[:255]), row, report.incarnation, at)
        for server_id, at, report in reports
        for row in report.devices
    ]
    if not listed:
        return []
    known = await _known(session, {key for key, *_ in listed})
    new = {key.server_id for key, *_ in listed if key not in known}
    changed: dict[DeviceKey, Sighting] = {}
    hits: list[Hit] = []
    for key, row, incarnation, at in listed:
        found = changed[key] = sighted(changed.get(key) or known.get(key), row, incarnation, at)
        if row.range and row.connector:
            hits.append((HitKey(key.server_id, key.connector, found.range), found.last_seen))
    await _store(session, changed)
    for server_id in sorted(new):
        await _make_room(session, server_id)
    return hits


async def _known(session: AsyncSession, keys: Iterable[DeviceKey]) -> dict[DeviceKey, Sighting]:
    columns = (Device.server_id, Device.address, Device.connector)
    found = {}
    wanted = sorted(keys)
    for at in range(0, len(wanted), KEYS_AT_ONCE):
        query = select(*columns, Device.range, Device.seen, Device.first_seen, Device.last_seen).where(
            tuple_(*columns).in_(wanted[at : at + KEYS_AT_ONCE])
        )
        for row in (await session.execute(query)).all():
            found[DeviceKey(*row[:3])] = Sighting(*row[3:])
    return found


async def _store(session: AsyncSession, changed: dict[DeviceKey, Sighting]) -> None:
    rows = [key._asdict() | sighting._asdict() for key, sighting in changed.items()]
    await upsert(session, Device, rows, DEVICE_KEYS)


async def _store_hits(session: AsyncSession, told: Iterable[Hit]) -> None:
    hits: dict[HitKey, datetime] = {}
    for key, at in told:
        hits[key] = max(at, hits.get(key, at))
    if not hits:
        return
    columns = (RangeHit.server_id, RangeHit.connector, RangeHit.range)
    wanted = sorted(hits)
    rows: list[dict[str, Any]] = []
    new: set[str] = set()
    for start in range(0, len(wanted), KEYS_AT_ONCE):
        some = wanted[start : start + KEYS_AT_ONCE]
        query = select(*columns, RangeHit.last_hit).where(tuple_(*columns).in_(some))
        known = {HitKey(*row[:3]): row[3] for row in (await session.execute(query)).all()}
        new.update(key.server_id for key in some if key not in known)
        rows += [key._asdict() | {"last_hit": max(hits[key], known.get(key, hits[key]))} for key in some]
    await upsert(session, RangeHit, rows, HIT_KEYS)
    for server_id in sorted(new):
        await _forget_hits(session, server_id)


async def _make_room(session: AsyncSession, server_id: str) -> None:
    """Fold those devices into the overflow row that were not seen for longest, when there are too many."""
    mine = (Device.server_id == server_id) & (Device.address != OVERFLOW)
    count = (await session.execute(select(func.count()).select_from(Device).where(mine))).scalar_one()
    if count <= MAX_DEVICES:
        return
    surplus = count - MAX_DEVICES + MAX_DEVICES // ROOM
    columns = (
        Device.address,
        Device.connector,
        Device.range,
        Device.seen,
        Device.first_seen,
        Device.last_seen,
    )
    query = select(*columns).where(mine).order_by(Device.last_seen, Device.address).limit(surplus)
    gone = (await session.execute(query)).all()
    key = DeviceKey(server_id, OVERFLOW, "")
    rest = (await _known(session, [key])).get(key)
    for row in gone:
        rest = absorbed(rest, Sighting(*row[2:]))
        await session.execute(
            delete(Device).where(mine, Device.address == row.address, Device.connector == row.connector)
        )
    if rest is not None:
        await _store(session, {key: rest})


async def _forget_hits(session: AsyncSession, server_id: str) -> None:
    mine = RangeHit.server_id == server_id
    count = (await session.execute(select(func.count()).select_from(RangeHit).where(mine))).scalar_one()
    if count > MAX_HITS:
        surplus = count - MAX_HITS + MAX_HITS // ROOM
        oldest = select(RangeHit.last_hit).where(mine).order_by(RangeHit.last_hit).offset(surplus).limit(1)
        bound = (await session.execute(oldest)).scalar_one()
        await session.execute(delete(RangeHit).where(mine, RangeHit.last_hit < bound))
