"""Giving servers what they shall run. A change of digest, name or address map raises the generation by one."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.revisions.rendering import ServerFacts
from gatepost_api.tables import Assignment, Server

# States in which a server may be offered what it is assigned.
OFFERED = frozenset({"pending", "offered", "applying", "running", "settled", "rejected", "rolled_back"})
HELD = frozenset({"held", "blocked"})


def facts_of(server: Server) -> ServerFacts:
    """What the next publish makes of a server: its facts as they are edited now."""
    return ServerFacts(server.id, server.name, server.fqdn, server.labels, server.addresses)


def publish_facts(server: Server) -> bool:
    """Make the edited facts the published ones; whether the server's offers change with them."""
    changed = (server.published_fqdn, server.published_addresses) != (server.fqdn, server.addresses)
    server.published_fqdn = server.fqdn
    server.published_labels = server.labels
    server.published_addresses = server.addresses
    return changed


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


async def store_states(session: AsyncSession, changes: Mapping[str, tuple[int, str, str]]) -> None:
    """Store (generation, state, reason) of servers, where the assignment still has that generation."""
    now = datetime.now(UTC)
    for server_id, (generation, state, reason) in changes.items():
        query = update(Assignment).where(
            Assignment.server_id == server_id, Assignment.generation == generation
        )
        await session.execute(query.values(state=state, reason=reason, changed_at=now))


def changed_ids(pairs: Iterable[tuple[str, bool]]) -> list[str]:
    return [server_id for server_id, changed in pairs if changed]
