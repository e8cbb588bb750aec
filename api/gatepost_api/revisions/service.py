"""Publishing a draft, and going back: both end in a new revision, new bundles and new generations."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.signing import Signer
from gatepost_api.audit.service import Target, record
from gatepost_api.auth import Caller
from gatepost_api.db import Database
from gatepost_api.draft import repository as draft_rows
from gatepost_api.draft import service as drafts
from gatepost_api.errors import NotFound, Unavailable
from gatepost_api.etags import Precondition
from gatepost_api.fleet import Fleet, tick
from gatepost_api.revisions import repository
from gatepost_api.revisions.rendering import Rendered, render_fleet
from gatepost_api.revisions.schemas import RevisionOut
from gatepost_api.servers import assigning
from gatepost_api.servers import repository as server_rows
from gatepost_api.tables import Revision, Server
from gatepost_api.work import Workshop


class Press(NamedTuple):
    """What publishing needs of the process."""

    database: Database
    workshop: Workshop
    fleet: Fleet
    signer: Signer


class Prepared(NamedTuple):
    """A publish worked out before the write transaction, and the state it was worked out for."""

    version: int
    content: dict[str, Any]
    server_versions: dict[str, int]
    rendered: Rendered


async def get(session: AsyncSession, number: int) -> Revision:
    revision = await session.get(Revision, number)
    if revision is None:
        raise NotFound(f"There is no revision {number}.")
    return revision


def content_of(revision: Revision) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(revision.document)
    return content


async def prepare(press: Press, match: Precondition, content: dict[str, Any] | None) -> Prepared:
    """Check and render the draft (or `content`) away from the loop, without holding up other writers."""
    async with press.database.reading() as session:
        draft = await drafts.read(session)
        servers = await server_rows.active_servers(session)
    match.check(draft.version, "The draft")
    content = draft.content if content is None else content
    facts = [assigning.facts_of(server) for server in servers]
    rendered = await press.workshop.run(len(str(content)), render_fleet, content, facts)
    return Prepared(draft.version, content, {server.id: server.version for server in servers}, rendered)


async def publish(
    press: Press, session: AsyncSession, caller: Caller, *, match: Precondition, message: str
) -> Revision:
    """The draft as a new revision. The same draft twice is the same revision, without a second generation."""
    prepared = await prepare(press, match, None)
    row = await draft_rows.draft_row(session, lock=True)
    match.check(row.version, "The draft")
    return await _store(press, session, caller, prepared, message=message, rollback_of=None)


async def roll_back(
    press: Press, session: AsyncSession, caller: Caller, *, match: Precondition, number: int, reason: str
) -> Revision:
    """An older document as a new revision, and as the draft; servers' facts go back with it."""
    async with press.database.reading() as reading:
        old = await get(reading, number)
    prepared = await prepare(press, match, content_of(old))
    await drafts.replace(session, caller, match, prepared.content, reason=reason)
    message = reason or f"Back to revision {number}"
    return await _store(press, session, caller, prepared, message=message, rollback_of=number)


async def _store(
    press: Press,
    session: AsyncSession,
    caller: Caller,
    prepared: Prepared,
    *,
    message: str,
    rollback_of: int | None,
) -> Revision:
    v = await tick(session, press.fleet)
    servers = await server_rows.active_servers(session)
    if {server.id: server.version for server in servers} != prepared.server_versions:
        raise Unavailable("Servers changed in the same moment. Try again.", headers={"Retry-After": "1"})
    parent = await repository.latest(session)
    published = {server.id: _published(server) for server in servers}
    rendered = prepared.rendered
    unchanged = parent is not None and (parent.digest, parent.servers) == (rendered.digest, published)
    if unchanged and parent is not None and rollback_of is None:
        return parent
    await repository.keep_bundles(session, press.signer, rendered.bundles)
    number = parent.number + 1 if parent else 1
    changed = await _assign(session, servers, rendered, number, v)
    revision = Revision(
        number=number,
        digest=rendered.digest,
        document=rendered.text,
        servers=published,
        parent=parent.number if parent else None,
        rollback_of=rollback_of,
        message=message,
        author=caller.name,
        report={"changed_servers": changed, "bundles": len(rendered.bundles)},
        created_at=datetime.now(UTC),
    )
    session.add(revision)
    await session.flush()
    out = RevisionOut.model_validate(revision)
    action = "publish" if rollback_of is None else "rollback"
    record(session, caller, action, Target("revision", str(number), str(number)), after=out, reason=message)
    return revision


def _published(server: Server) -> dict[str, Any]:
    return {"name": server.name, "fqdn": server.fqdn, "labels": server.labels, "addresses": server.addresses}


async def _assign(
    session: AsyncSession, servers: Sequence[Server], rendered: Rendered, number: int, v: int
) -> list[str]:
    """Give every server its bundle; the names of those for which that is something new."""
    rows = await server_rows.assignments(session)
    changed = []
    for server in servers:
        anew = assigning.publish_facts(server)
        if assigning.assign(rows[server.id], rendered.by_server[server.id], number, v, anew=anew):
            changed.append(server.name)
    return changed
