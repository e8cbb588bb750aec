"""What reports leave in the database, written for many servers in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.wire import CheckinRequest
from gatepost_api.checkins.counters import Totals, merged
from gatepost_api.checkins.device_rows import write_devices
from gatepost_api.checkins.judging import Change
from gatepost_api.db import upsert
from gatepost_api.tables import Assignment, Attempt, CounterMark, Liveness, ServerStatus

KEPT_ATTEMPTS = 20
FOLDED_ABOVE = 50


class Entry(NamedTuple):
    """What is to be written for one server: a report, a change of state, or both."""

    server_id: str
    at: datetime
    report: CheckinRequest | None = None
    generation: int = 0
    change: Change | None = None


async def write(session: AsyncSession, entries: Sequence[Entry]) -> None:
    """Write entries in their order; the latest of a server stands."""
    reports = [(entry, entry.report) for entry in entries if entry.report is not None]
    await _statuses(session, reports)
    await _attempts(session, reports)
    await _counters(session, reports)
    await write_devices(session, [(entry.server_id, entry.at, report) for entry, report in reports])
    for entry in entries:
        if entry.change is not None:
            await _state(session, entry, entry.change)


async def _state(session: AsyncSession, entry: Entry, change: Change) -> None:
    query = update(Assignment).where(
        Assignment.server_id == entry.server_id, Assignment.generation == entry.generation
    )
    if change.state == "offered":  # an answer in flight must not undo what a report said meanwhile
        query = query.where(Assignment.state == "pending")
    await session.execute(query.values(state=change.state, reason=change.reason, changed_at=entry.at))


async def _statuses(session: AsyncSession, reports: Sequence[tuple[Entry, CheckinRequest]]) -> None:
    rows: dict[str, dict[str, Any]] = {}
    with_facts: dict[str, dict[str, Any]] = {}
    for entry, report in reports:
        rows[entry.server_id] = {
            "server_id": entry.server_id,
            "incarnation": report.incarnation,
            "seq": report.seq,
            "running": report.running.model_dump(mode="json") if report.running else None,
            "last_attempt": report.last_attempt.model_dump(mode="json") if report.last_attempt else None,
            "health": report.health.model_dump(mode="json") | {"queue": dict(report.queue)},
            "reported_at": entry.at,
        }
        if report.facts is not None:
            with_facts[entry.server_id] = {
                "facts": report.facts.model_dump(mode="json"),
                "facts_digest": report.facts_digest,
            }
    for server_id, row in rows.items():
        values = {name: value for name, value in row.items() if name != "server_id"}
        query = update(ServerStatus).where(ServerStatus.server_id == server_id)
        await session.execute(query.values(**values, **with_facts.get(server_id, {})))


async def _attempts(session: AsyncSession, reports: Sequence[tuple[Entry, CheckinRequest]]) -> None:
    rows = {}
    for entry, report in reports:
        attempt = report.last_attempt
        if attempt is None or attempt.outcome == "applying":
            continue
        key = (entry.server_id, attempt.generation, attempt.outcome)
        rows[key] = {
            "server_id": entry.server_id,
            "generation": attempt.generation,
            "digest": attempt.digest[:80],
            "outcome": attempt.outcome,
            "phase": attempt.phase,
            "errors": [error.model_dump(mode="json") for error in attempt.errors],
            "at": entry.at,
        }
    columns = (Attempt.server_id, Attempt.generation, Attempt.outcome)
    query = select(*columns).where(tuple_(*columns).in_(list(rows)))
    known = {tuple(row) for row in (await session.execute(query)).all()} if rows else set()
    for key, row in rows.items():
        if key not in known:
            session.add(Attempt(**row))
            await session.flush()
            await _trim_attempts(session, key[0])


async def _trim_attempts(session: AsyncSession, server_id: str) -> None:
    mine = Attempt.server_id == server_id
    kept = select(Attempt.id).where(mine).order_by(Attempt.id.desc()).limit(KEPT_ATTEMPTS)
    await session.execute(delete(Attempt).where(mine, Attempt.id.not_in(kept)))


async def _counters(session: AsyncSession, reports: Sequence[tuple[Entry, CheckinRequest]]) -> None:
    new: dict[tuple[str, str], Totals] = {}
    at: dict[tuple[str, str], datetime] = {}
    for entry, report in reports:
        for counters in report.counters:
            key = (entry.server_id, counters.incarnation)
            new[key] = merged(new.get(key, {}), counters.totals)
            at[key] = entry.at
    if not new:
        return
    query = select(CounterMark).where(tuple_(CounterMark.server_id, CounterMark.incarnation).in_(list(new)))
    marks = {(mark.server_id, mark.incarnation): mark for mark in await session.scalars(query)}
    for key, totals in new.items():
        mark = marks.get(key)
        if mark is None:
            if key[1] not in await _folded(session, key[0]):
                session.add(_mark(key, totals, at[key]))
            continue
        mark.totals = merged(mark.totals, totals)
        mark.updated_at = at[key]
    await session.flush()


def _mark(key: tuple[str, str], totals: Totals, at: datetime) -> CounterMark:
    return CounterMark(server_id=key[0], incarnation=key[1], totals=totals, folded=[], updated_at=at)


async def _folded(session: AsyncSession, server_id: str) -> list[str]:
    """Incarnations that are in the server's base: counting them again would count twice."""
    base = await session.get(CounterMark, (server_id, ""))
    return [] if base is None else base.folded


async def write_liveness(session: AsyncSession, heard: Mapping[str, tuple[datetime, bool]]) -> None:
    """When servers were last heard, and whether they said goodbye: one statement for all of them."""
    rows = [
        {"server_id": server_id, "last_seen": at, "said_goodbye": goodbye}
        for server_id, (at, goodbye) in heard.items()
    ]
    await upsert(session, Liveness, rows, ("server_id",))
