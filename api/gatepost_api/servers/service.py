"""Servers: their facts, and the verbs that move them between states."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.audit.service import Target, record
from gatepost_api.auth import Caller
from gatepost_api.errors import Conflict, NotFound
from gatepost_api.etags import Precondition
from gatepost_api.fleet import Fleet, tick
from gatepost_api.servers import repository
from gatepost_api.servers.repository import ServerRows
from gatepost_api.servers.schemas import AssignmentOut, ServerOut, ServerPatch
from gatepost_api.tables import Server


def target(server: Server) -> Target:
    return Target("server", server.id, server.name)


def shown(rows: ServerRows, offline_after_s: int) -> ServerOut:
    """A server as it is shown; `online` by when we last heard of it, never by its own clock."""
    server, assignment, status, liveness = rows
    heard = datetime.now(UTC) - liveness.last_seen
    return ServerOut(
        id=server.id,
        name=server.name,
        state=server.state,
        fqdn=server.fqdn,
        labels=server.labels,
        addresses=server.addresses,
        unpublished=_edited(server) != _published(server),
        created_at=server.created_at,
        online=not liveness.said_goodbye and heard < timedelta(seconds=offline_after_s),
        last_seen=liveness.last_seen,
        assignment=AssignmentOut.model_validate(assignment),
        running=status.running,
        last_attempt=status.last_attempt,
        health=status.health,
        facts=status.facts,
    )


def _edited(server: Server) -> dict[str, object]:
    return {"fqdn": server.fqdn, "labels": server.labels, "addresses": server.addresses}


def _published(server: Server) -> dict[str, object]:
    return {
        "fqdn": server.published_fqdn,
        "labels": server.published_labels,
        "addresses": server.published_addresses,
    }


def is_decided(rows: ServerRows) -> bool:
    """Whether the server runs what it is assigned, has refused it, or waits for an operator."""
    return rows.assignment.state not in {"pending", "offered", "applying"}


async def get(session: AsyncSession, server_id: str) -> ServerRows:
    rows = await repository.one_server(session, server_id)
    if rows is None:
        raise NotFound(f"There is no server {server_id!r}.")
    return rows


async def edit(
    session: AsyncSession, caller: Caller, server_id: str, match: Precondition, patch: ServerPatch
) -> ServerRows:
    """Change labels, addresses or fqdn; in force from the next publish on."""
    rows = await get(session, server_id)
    server = rows.server
    match.check(server.version, f"The server {server.name!r}")
    before = _edited(server)
    for field in patch.model_fields_set:
        setattr(server, field, getattr(patch, field) or ({} if field != "fqdn" else ""))
    await session.flush()
    record(session, caller, "edit", target(server), before=before, after=_edited(server))
    return rows


async def retry(
    session: AsyncSession, caller: Caller, fleet: Fleet, server_id: str, reason: str
) -> ServerRows:
    """The same bundle as a new generation: a rejected one is never offered again under its old number."""
    rows = await _active(session, server_id)
    if rows.assignment.state not in {"rejected", "rolled_back"}:
        raise Conflict(
            f"{rows.server.name} is {rows.assignment.state}; only rejected and rolled_back are retried."
        )
    return await _new_generation(session, caller, fleet, rows, action="retry", reason=reason)


async def overwrite(
    session: AsyncSession, caller: Caller, fleet: Fleet, server_id: str, reason: str
) -> ServerRows:
    """Give a held server what is published, above the generation that it reported."""
    rows = await _held(session, server_id)
    rows.assignment.generation = max(rows.assignment.generation, _reported_generation(rows))
    return await _new_generation(session, caller, fleet, rows, action="overwrite", reason=reason)


async def adopt(
    session: AsyncSession, caller: Caller, fleet: Fleet, server_id: str, reason: str
) -> ServerRows:
    """Leave a held server what it runs, and count from the generation that it reported."""
    rows = await _held(session, server_id)
    before = AssignmentOut.model_validate(rows.assignment)
    running = rows.status.running or {}
    rows.assignment.generation = _reported_generation(rows)
    rows.assignment.digest = running.get("digest") or rows.assignment.digest
    rows.assignment.revision = running.get("revision") or rows.assignment.revision
    rows.assignment.state = "settled" if running.get("settled", True) else "running"
    return await _changed(session, caller, fleet, rows, action="adopt", before=before, reason=reason)


async def retire(
    session: AsyncSession, caller: Caller, fleet: Fleet, server_id: str, reason: str
) -> ServerRows:
    """The server is gone: its token ends, its name is free; the host may enrol again as a new server."""
    rows = await get(session, server_id)
    if rows.server.state != "retired":
        rows.server.name_key = f"{rows.server.name.lower()}#{rows.server.id}"
        await _end(session, caller, fleet, rows, state="retired", reason=reason)
    return rows


async def ban(session: AsyncSession, caller: Caller, fleet: Fleet, server_id: str, reason: str) -> ServerRows:
    """The host's key is refused for ever, and its name stays taken."""
    rows = await get(session, server_id)
    if rows.server.state != "banned":
        await _end(session, caller, fleet, rows, state="banned", reason=reason)
    return rows


async def _active(session: AsyncSession, server_id: str) -> ServerRows:
    rows = await get(session, server_id)
    if rows.server.state != "active":
        raise Conflict(f"{rows.server.name} is {rows.server.state}.")
    return rows


async def _held(session: AsyncSession, server_id: str) -> ServerRows:
    rows = await _active(session, server_id)
    if rows.assignment.state != "held":
        raise Conflict(f"{rows.server.name} is {rows.assignment.state}, not held.")
    return rows


def _reported_generation(rows: ServerRows) -> int:
    reported = (rows.status.running or {}, rows.status.last_attempt or {})
    return max(int(item.get("generation", 0)) for item in reported)


async def _end(
    session: AsyncSession, caller: Caller, fleet: Fleet, rows: ServerRows, *, state: str, reason: str
) -> None:
    before = {"state": rows.server.state}
    rows.server.state = state
    rows.assignment.v = await tick(session, fleet)
    record(session, caller, state, target(rows.server), before=before, after={"state": state}, reason=reason)
    await session.flush()


async def _new_generation(
    session: AsyncSession, caller: Caller, fleet: Fleet, rows: ServerRows, *, action: str, reason: str
) -> ServerRows:
    before = AssignmentOut.model_validate(rows.assignment)
    rows.assignment.generation += 1
    rows.assignment.state = "pending" if rows.assignment.digest else "none"
    return await _changed(session, caller, fleet, rows, action=action, before=before, reason=reason)


async def _changed(
    session: AsyncSession,
    caller: Caller,
    fleet: Fleet,
    rows: ServerRows,
    *,
    action: str,
    before: AssignmentOut,
    reason: str,
) -> ServerRows:
    rows.assignment.reason = ""
    rows.assignment.changed_at = datetime.now(UTC)
    rows.assignment.v = await tick(session, fleet)
    after = AssignmentOut.model_validate(rows.assignment)
    record(session, caller, action, target(rows.server), before=before, after=after, reason=reason)
    await session.flush()
    return rows
