"""Bringing a change of relay users to the servers: what each runs is rendered again, without a new revision."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.model.bundle import RelayUser
from gatepost_api.errors import EmbeddedTestsFailed
from gatepost_api.plans.judging import failing_logons
from gatepost_api.relay_users import repository
from gatepost_api.revisions import repository as revisions
from gatepost_api.revisions.rendering import Rendered, render_published
from gatepost_api.revisions.service import Press
from gatepost_api.servers import assigning
from gatepost_api.servers import repository as server_rows
from gatepost_api.tables import Assignment, Revision, Server

MAX_TOLD = 3


async def hand_out(press: Press, session: AsyncSession, v: int, *, tested: bool) -> list[str]:
    """Give each server the bundle of its revision with the users of now; the names of those that get a new one.

    tested: whether a published test that logs on may speak against it. EmbeddedTestsFailed then: agents would
    reject the bundle, and go on with the users of before. v: the fleet clock's new value.
    """
    await session.flush()
    users = await repository.bundled(session)
    changed = []
    for revision, members in await _by_revision(session):
        servers = [server for server, _ in members]
        if tested:
            await _refuse_failing(press, revision, servers, users)
        facts = [assigning.published_facts_of(server) for server in servers]
        text = revision.document
        rendered: Rendered = await press.workshop.run(len(text), render_published, text, facts, users)
        await revisions.keep_bundles(session, press.signer, rendered.bundles)
        for server, assignment in members:
            if _give(assignment, rendered.by_server[server.id], v):
                changed.append(server.name)
    return changed


async def _by_revision(
    session: AsyncSession,
) -> list[tuple[Revision, list[tuple[Server, Assignment]]]]:
    """The servers that shall run a bundle made here, by its revision; one that was adopted runs another's."""
    rows = await server_rows.assignments(session)
    ours = await revisions.known_bundles(session, [row.digest for row in rows.values() if row.digest])
    found: dict[int, list[tuple[Server, Assignment]]] = {}
    for server in await server_rows.active_servers(session):
        row = rows[server.id]
        if row.revision is not None and row.digest in ours:
            found.setdefault(row.revision, []).append((server, row))
    known = [(await session.get(Revision, number), members) for number, members in found.items()]
    return [(revision, members) for revision, members in known if revision is not None]


async def _refuse_failing(
    press: Press, revision: Revision, servers: Sequence[Server], users: Sequence[RelayUser]
) -> None:
    text, at = revision.document, revision.created_at.timestamp()
    facts = [assigning.published_facts_of(server) for server in servers]
    failing = await press.workshop.run(len(text), failing_logons, text, facts, users, at)
    if failing:
        told = "; ".join(failing[:MAX_TOLD])
        raise EmbeddedTestsFailed(
            f"What is published would fail its own tests: {told}. Take them out of the document and publish it first."
        )


def _give(assignment: Assignment, digest: str, v: int) -> bool:
    """Whether that is a new generation. A server that findings hold up stays blocked, with the new bundle."""
    if assignment.digest == digest or assignment.revision is None:
        return False
    if assignment.state == "blocked":
        assigning.block(assignment, digest, assignment.revision, v, assignment.reason)
        return False
    return assigning.assign(assignment, digest, assignment.revision, v)
