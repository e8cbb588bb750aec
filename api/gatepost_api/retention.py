"""What is old goes: each table says in its `info` how long its rows are kept, and by which column.

Deleted in batches, so that a writer never waits for long.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import structlog
from sqlalchemy import ColumnElement, Select, Table, delete, false, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.checkins.counters import added
from gatepost_api.db import Database
from gatepost_api.errors import ApiError
from gatepost_api.tables import Assignment, Attempt, AuditEvent, Base, BundleRow, CounterMark

EVERY_S = 3600.0
FIRST_S = 30.0
BATCH = 2000
VACUUMED_PAGES = 2000
KEPT_ATTEMPTS = 20
FOLD_AFTER = timedelta(days=8)  # agents keep closed totals for 7 days
FOLD_ABOVE = 50
FOLDED_KNOWN = 500
log = structlog.get_logger("gatepost_api")


def kept_days(table: Table) -> int | None:
    """For how many days a table's rows are kept; None where age is not what bounds it."""
    number, _, unit = str(table.info["keeps"]).partition(" ")
    return int(number) if unit.startswith("day") else None


async def sweep(database: Database, now: datetime, audit_days: int) -> int:
    """Delete what is past its time, in as many batches as it takes; the number of rows."""
    gone = 0
    for table in Base.metadata.sorted_tables:
        days = audit_days if table is AuditEvent.__table__ else kept_days(table)
        if days is None:
            continue
        old = table.c[table.info["by"]] < now - timedelta(days=days)
        gone += await _delete(database, table, old & ~_kept_for_ever(table))
    gone += await _delete(database, cast("Table", BundleRow.__table__), _unused_bundle(now))
    gone += await _delete(database, cast("Table", Attempt.__table__), Attempt.id.in_(_surplus_attempts()))
    async with database.writing() as session:
        await fold_counters(session, now)
        if database.is_sqlite:
            await session.execute(text(f"PRAGMA incremental_vacuum({VACUUMED_PAGES})"))
    return gone


def _kept_for_ever(table: Table) -> ColumnElement[bool]:
    """The first and the last change of each object stay: who made it, and who was there last."""
    if table is not AuditEvent.__table__:
        return false()
    columns = (AuditEvent.object_kind, AuditEvent.object_id)
    first = select(func.min(AuditEvent.id)).group_by(*columns)
    last = select(func.max(AuditEvent.id)).group_by(*columns)
    return table.c.id.in_(first) | table.c.id.in_(last)


def _surplus_attempts() -> Select[int]:
    """Attempts beyond the latest of each server."""
    rank = func.row_number().over(partition_by=Attempt.server_id, order_by=Attempt.id.desc())
    ranked = select(Attempt.id, rank.label("rank")).subquery()
    return select(ranked.c.id).where(ranked.c.rank > KEPT_ATTEMPTS)


def _unused_bundle(now: datetime) -> ColumnElement[bool]:
    used = select(Assignment.digest).where(Assignment.digest.is_not(None))
    return BundleRow.digest.not_in(used) & (BundleRow.created_at < now - timedelta(days=1))


async def _delete(database: Database, table: Table, condition: ColumnElement[bool]) -> int:
    """Delete matching rows batch by batch, by primary key."""
    keys = list(table.primary_key.columns)
    gone = 0
    while True:
        async with database.writing() as session:
            rows = (await session.execute(select(*keys).where(condition).limit(BATCH))).all()
            for row in rows:
                matches = [key == value for key, value in zip(keys, row, strict=True)]
                await session.execute(delete(table).where(*matches))
        gone += len(rows)
        if len(rows) < BATCH:
            return gone


async def fold_counters(session: AsyncSession, now: datetime) -> None:
    """Fold incarnations that ended long ago, or are too many (a crash loop), into their server's base."""
    marks: dict[str, list[CounterMark]] = {}
    for mark in await session.scalars(select(CounterMark).order_by(CounterMark.updated_at.desc())):
        marks.setdefault(mark.server_id, []).append(mark)
    for rows in marks.values():
        base = next((row for row in rows if row.incarnation == ""), None)
        live = [row for row in rows if row.incarnation]
        ended = [row for at, row in enumerate(live) if at >= FOLD_ABOVE or now - row.updated_at > FOLD_AFTER]
        if ended:
            await _fold(session, base, ended)


async def _fold(session: AsyncSession, base: CounterMark | None, ended: list[CounterMark]) -> None:
    known: Mapping[str, Any] = {} if base is None else base.totals
    totals = added([known, *(row.totals for row in ended)])
    names = [row.incarnation for row in ended] + ([] if base is None else base.folded)
    if base is None:
        base = CounterMark(server_id=ended[0].server_id, incarnation="", updated_at=ended[0].updated_at)
        session.add(base)
    base.totals, base.folded = totals, names[:FOLDED_KNOWN]
    for row in ended:
        await session.delete(row)


async def run(database: Database, audit_days: int) -> None:
    """Sweep every hour until cancelled."""
    pause = FIRST_S
    while True:
        await asyncio.sleep(pause)
        pause = EVERY_S
        try:
            gone = await sweep(database, datetime.now(UTC), audit_days)
        except (SQLAlchemyError, ApiError) as error:
            log.warning("retention failed", kind=type(error).__name__)
        else:
            log.info("retention", rows=gone)
