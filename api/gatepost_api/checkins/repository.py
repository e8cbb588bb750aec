"""What reports leave in the database, written for many servers in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, Update, bindparam, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.wire import CheckinRequest
from gatepost_api.checkins.counters import Totals, merged
from gatepost_api.checkins.device_rows import write_devices
from gatepost_api.checkins.judging import Change
from gatepost_api.db import insert_new, upsert
from gatepost_api.tables import Assignment, Attempt, CounterMark, Liveness, ServerStatus


class Entry(NamedTuple):
    """What is to be written for one server: a report, a change of state, or both."""

    server_id: str
    at: datetime
    report: CheckinRequest | None = None
    generation: int = 0
    change: Change | None = None


async def write(session: AsyncSession, entries: Sequence[Entry]) -> None:
    """Write entries; the latest of a server stands. Servers in the order of their ids, as a publish locks them."""
    entries = sorted(entries, key=lambda entry: entry.server_id)
    reports = [(entry, entry.report) for entry in entries if entry.report is not None]
    await _statuses(session, reports)
    await _attempts(session, reports)
    await _counters(session, reports)
    await write_devices(session, [(entry.server_id, entry.at, report) for entry, report in reports])
    await _states(session, entries)


async def _states(session: AsyncSession, entries: Sequence[Entry]) -> None:
    """Move assignments on, where they still have the generation that the report was about."""
    changes = [(entry, entry.change) for entry in entries if entry.change is not None]
    rows = [
        {
            "of": entry.server_id,
            "at_generation": entry.generation,
            "state": change.state,
            "reason": change.reason,
            "changed_at": entry.at,
        }
        for entry, change in changes
    ]
    table = cast("Table", Assignment.__table__)
    mine = (Assignment.server_id == bindparam("of"), Assignment.generation == bindparam("at_generation"))
    # An answer in flight must not undo what a report said meanwhile.
    offered = update(table).where(*mine, Assignment.state == "pending")
    await _many(session, offered, [row for row in rows if row["state"] == "offered"])
    await _many(session, update(table).where(*mine), [row for row in rows if row["state"] != "offered"])


async def _many(session: AsyncSession, statement: Update, rows: list[dict[str, Any]]) -> None:
    """One statement on a table for many rows, whose keys are the columns to set: one call of the driver."""
    if rows:
        await (await session.connection()).execute(statement, rows)


async def _statuses(session: AsyncSession, reports: Sequence[tuple[Entry, CheckinRequest]]) -> None:
    rows = [_status(entry, report) for entry, report in reports]
    table = update(cast("Table", ServerStatus.__table__)).where(ServerStatus.server_id == bindparam("of"))
    await _many(session, table, [row for row in rows if "facts" in row])
    await _many(session, table, [row for row in rows if "facts" not in row])


def _status(entry: Entry, report: CheckinRequest) -> dict[str, Any]:
    row = {
        "of": entry.server_id,
        "incarnation": report.incarnation,
        "seq": report.seq,
        "running": report.running.model_dump(mode="json") if report.running else None,
        "last_attempt": report.last_attempt.model_dump(mode="json") if report.last_attempt else None,
        "health": report.health.model_dump(mode="json") | {"queue": dict(report.queue)},
        "reported_at": entry.at,
    }
    if report.facts is not None:
        row |= {"facts": report.facts.model_dump(mode="json"), "facts_digest": report.facts_digest}
    return row


async def _attempts(session: AsyncSession, reports: Sequence[tuple[Entry, CheckinRequest]]) -> None:
    """How generations ended; what is known already stays as it was first told."""
    rows: dict[tuple[str, int, str], dict[str, Any]] = {}
    for entry, report in reports:
        attempt = report.last_attempt
        if attempt is None or attempt.outcome == "applying":
            continue
        rows.setdefault(
            (entry.server_id, attempt.generation, attempt.outcome),
            {
                "server_id": entry.server_id,
                "generation": attempt.generation,
                "digest": attempt.digest[:80],
                "outcome": attempt.outcome,
                "phase": attempt.phase,
                "errors": [error.model_dump(mode="json") for error in attempt.errors],
                "at": entry.at,
            },
        )
    await insert_new(session, Attempt, list(rows.values()), ("server_id", "generation", "outcome"))


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
