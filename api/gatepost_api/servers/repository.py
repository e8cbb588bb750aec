"""Server rows, and the rows that every server has from its enrolment on."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.tables import Assignment, Attempt, Liveness, Server, ServerStatus

KEPT_ATTEMPTS = 20
BATCH = 1000


class ServerRows(NamedTuple):
    """A server, what it shall run, what it says, and when it was heard."""

    server: Server
    assignment: Assignment
    status: ServerStatus
    liveness: Liveness


class ServerLine(NamedTuple):
    """What publishing reads of a server: plain values, for fleets of ten thousand."""

    id: str
    name: str
    version: int
    fqdn: str
    labels: dict[str, str]
    addresses: dict[str, str]
    published_fqdn: str
    published_labels: dict[str, str]
    published_addresses: dict[str, str]


class AssignmentLine(NamedTuple):
    """What publishing reads of an assignment."""

    server_id: str
    generation: int
    digest: str | None
    state: str
    reason: str


class Wanted(NamedTuple):
    """Filters of the listing; None takes every server."""

    name: str | None = None
    state: str | None = None
    assignment_state: str | None = None
    revision: int | None = None


async def _rows(session: AsyncSession, *conditions: object, limit: int | None = None) -> list[ServerRows]:
    query = (
        select(Server, Assignment, ServerStatus, Liveness)
        .join(Assignment, Assignment.server_id == Server.id)
        .join(ServerStatus, ServerStatus.server_id == Server.id)
        .join(Liveness, Liveness.server_id == Server.id)
        .order_by(Server.id)
        .limit(limit)
    )
    for condition in conditions:
        query = query.where(condition)  # type: ignore[arg-type]
    return [ServerRows(*row) for row in (await session.execute(query)).all()]


async def page_of_servers(
    session: AsyncSession, wanted: Wanted, after: str | None, limit: int
) -> list[ServerRows]:
    """Up to `limit` servers with an id above `after`."""
    conditions: list[object] = [] if after is None else [Server.id > after]
    if wanted.name is not None:
        conditions.append(Server.name_key == wanted.name.lower())
    if wanted.state is not None:
        conditions.append(Server.state == wanted.state)
    if wanted.assignment_state is not None:
        conditions.append(Assignment.state == wanted.assignment_state)
    if wanted.revision is not None:
        conditions.append(Assignment.revision == wanted.revision)
    return await _rows(session, *conditions, limit=limit)


async def one_server(session: AsyncSession, server_id: str) -> ServerRows | None:
    return next(iter(await _rows(session, Server.id == server_id)), None)


async def named_server(session: AsyncSession, name: str) -> Server | None:
    """The server that holds a name now, in any case; retired servers hold none."""
    return (await session.scalars(select(Server).where(Server.name_key == name.lower()))).first()


async def active_servers(session: AsyncSession) -> Sequence[Server]:
    return (await session.scalars(select(Server).where(Server.state == "active").order_by(Server.id))).all()


async def active_lines(session: AsyncSession) -> list[ServerLine]:
    """Every active server, read in batches: in between, others get their turn on the loop."""
    columns = [getattr(Server, name) for name in ServerLine._fields]
    query = select(*columns).where(Server.state == "active").order_by(Server.id).limit(BATCH)
    found: list[ServerLine] = []
    while True:
        after = Server.id > found[-1].id if found else true()
        rows = (await session.execute(query.where(after))).all()
        found += map(ServerLine._make, rows)
        if len(rows) < BATCH:
            return found


async def assignment_lines(session: AsyncSession) -> dict[str, AssignmentLine]:
    """Every assignment by its server, read in batches."""
    columns = [getattr(Assignment, name) for name in AssignmentLine._fields]
    query = select(*columns).order_by(Assignment.server_id).limit(BATCH)
    found: dict[str, AssignmentLine] = {}
    last = ""
    while True:
        rows = (await session.execute(query.where(Assignment.server_id > last))).all()
        found.update((row.server_id, AssignmentLine._make(row)) for row in rows)
        if len(rows) < BATCH:
            return found
        last = rows[-1].server_id


async def assignments(session: AsyncSession) -> dict[str, Assignment]:
    return {row.server_id: row for row in await session.scalars(select(Assignment))}


async def attempts_of(session: AsyncSession, server_id: str) -> Sequence[Attempt]:
    """The latest attempts, newest first."""
    query = select(Attempt).where(Attempt.server_id == server_id).order_by(Attempt.id.desc())
    return (await session.scalars(query.limit(KEPT_ATTEMPTS))).all()


def first_rows(server: Server, now: datetime, v: int) -> tuple[Assignment, ServerStatus, Liveness]:
    """What a server has from its enrolment on: nothing to run, nothing said, heard just now."""
    return (
        Assignment(
            server_id=server.id,
            generation=0,
            digest=None,
            revision=None,
            state="none",
            reason="",
            changed_at=now,
            v=v,
        ),
        ServerStatus(
            server_id=server.id,
            incarnation="",
            seq=0,
            facts={},
            facts_digest="",
            running=None,
            last_attempt=None,
            health={"status": "ok", "conditions": []},
            reported_at=now,
        ),
        Liveness(server_id=server.id, last_seen=now, said_goodbye=False),
    )
