"""Giving servers what they shall run. A change of digest, name or address map raises the generation by one."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, update
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.revisions.rendering import ServerFacts
from gatepost_api.servers.repository import BATCH, AssignmentLine, ServerLine
from gatepost_api.tables import Assignment, Server


def facts_of(server: Server | ServerLine) -> ServerFacts:
    """What the next publish makes of a server: its facts as they are edited now."""
    return ServerFacts(server.id, server.name, server.fqdn, server.labels, server.addresses)


def published_facts_of(server: Server | ServerLine) -> ServerFacts:
    """What was made of a server by the last publish: its facts as they were then."""
    return ServerFacts(
        server.id,
        server.name,
        server.published_fqdn,
        server.published_labels,
        server.published_addresses,
    )


def assign(
    assignment: Assignment, digest: str, revision: int, v: int, *, anew: bool = False, reason: str = ""
) -> bool:
    """Set what a server shall run; whether that is something new for it. `anew` raises the generation anyway.

    A server that is held stays so, with the new digest waiting behind the operator's choice; one that was
    blocked gets its chance.
    """
    assignment.revision = revision
    assignment.v = v
    if assignment.digest == digest and not anew and assignment.state != "blocked":
        return False
    assignment.digest = digest
    assignment.changed_at = datetime.now(UTC)
    if assignment.state == "held":
        return False
    assignment.generation += 1
    assignment.state = "pending"
    assignment.reason = reason
    return True


def block(assignment: Assignment, digest: str, revision: int, v: int, reason: str) -> None:
    """Set what a server would run if findings did not hold it up: nothing is offered until the next publish."""
    assignment.digest = digest
    assignment.revision = revision
    assignment.v = v
    assignment.state = "blocked"
    assignment.reason = reason
    assignment.changed_at = datetime.now(UTC)


async def assign_all(
    session: AsyncSession,
    servers: Sequence[ServerLine],
    lines: Mapping[str, AssignmentLine],
    by_server: Mapping[str, str],
    *,
    revision: int,
    v: int,
) -> list[str]:
    """A publish: give every server its bundle, and make its edited facts the published ones.

    Returns the names of those for which that is something new. By the rules of `assign`, for all servers at once:
    one statement for a thousand of them.
    """
    changed = []
    for begin in range(0, len(servers), BATCH):
        batch = servers[begin : begin + BATCH]
        kept: list[dict[str, Any]] = []
        given: list[dict[str, Any]] = []
        for server in batch:
            line, digest = lines[server.id], by_server[server.id]
            row = {"of": line.server_id, "revision": revision, "v": v}
            if line.digest == digest and not _offers_change(server) and line.state != "blocked":
                kept.append(row)
                continue
            given.append(row | _given(line, digest))
            if line.state != "held":
                changed.append(server.name)
        await _update(session, kept)
        await _update(session, given)
        await _publish_facts(
            session, [server for server in batch if facts_of(server) != published_facts_of(server)]
        )
    return changed


def _given(line: AssignmentLine, digest: str) -> dict[str, Any]:
    held = line.state == "held"
    return {
        "digest": digest,
        "changed_at": datetime.now(UTC),
        "generation": line.generation + (not held),
        "state": "held" if held else "pending",
        "reason": line.reason if held else "",
    }


def _offers_change(server: ServerLine) -> bool:
    return (server.published_fqdn, server.published_addresses) != (server.fqdn, server.addresses)


async def _update(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    if rows:
        statement = update(cast("Table", Assignment.__table__)).where(Assignment.server_id == bindparam("of"))
        await (await session.connection()).execute(statement, rows)


async def _publish_facts(session: AsyncSession, servers: Sequence[ServerLine]) -> None:
    """Copy the edited facts; the server's ETag changes, since it no longer waits for a publish."""
    if servers:
        statement = (
            update(cast("Table", Server.__table__))
            .where(Server.id == bindparam("of"))
            .values(
                published_fqdn=Server.fqdn,
                published_labels=Server.labels,
                published_addresses=Server.addresses,
                version=Server.version + 1,
            )
        )
        await (await session.connection()).execute(statement, [{"of": server.id} for server in servers])
