"""Giving servers what they shall run. A change of digest, name or address map raises the generation by one."""

from datetime import UTC, datetime

from gatepost_api.revisions.rendering import ServerFacts
from gatepost_api.tables import Assignment, Server


def facts_of(server: Server) -> ServerFacts:
    """What the next publish makes of a server: its facts as they are edited now."""
    return ServerFacts(server.id, server.name, server.fqdn, server.labels, server.addresses)


def published_facts_of(server: Server) -> ServerFacts:
    """What was made of a server by the last publish: its facts as they were then."""
    return ServerFacts(
        server.id,
        server.name,
        server.published_fqdn,
        server.published_labels,
        server.published_addresses,
    )


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


def block(assignment: Assignment, digest: str, revision: int, v: int, reason: str) -> None:
    """Set what a server would run if findings did not hold it up: nothing is offered until the next publish."""
    assignment.digest = digest
    assignment.revision = revision
    assignment.v = v
    assignment.state = "blocked"
    assignment.reason = reason
    assignment.changed_at = datetime.now(UTC)
