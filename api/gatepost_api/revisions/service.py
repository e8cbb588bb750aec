"""Publishing a draft, and going back: both end in a new revision, new bundles and new generations."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.signing import Signer
from gatepost_api.audit.service import Target, record
from gatepost_api.auth import Caller, Role, require
from gatepost_api.db import Database
from gatepost_api.draft import repository as draft_rows
from gatepost_api.draft import service as drafts
from gatepost_api.errors import NotFound, Unavailable
from gatepost_api.etags import Precondition
from gatepost_api.fleet import Fleet, tick
from gatepost_api.plans import service as plans
from gatepost_api.plans.service import Prepared
from gatepost_api.relay_users import repository as relay_users
from gatepost_api.revisions import repository
from gatepost_api.revisions.rendering import Rendered
from gatepost_api.revisions.schemas import PublishIn, RevisionOut, RollbackIn
from gatepost_api.servers import assigning
from gatepost_api.servers import repository as server_rows
from gatepost_api.servers.repository import AssignmentLine, ServerLine
from gatepost_api.tables import Revision
from gatepost_api.work import Workshop


class Press(NamedTuple):
    """What publishing needs of the process."""

    database: Database
    workshop: Workshop
    fleet: Fleet
    signer: Signer


async def get(session: AsyncSession, number: int) -> Revision:
    revision = await session.get(Revision, number)
    if revision is None:
        raise NotFound(f"There is no revision {number}.")
    return revision


def content_of(revision: Revision) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(revision.document)
    return content


async def publish(
    press: Press, session: AsyncSession, caller: Caller, *, match: Precondition, wanted: PublishIn
) -> Revision:
    """The draft as a new revision. The same draft twice is the same revision, without a second generation."""
    given = plans.taken_on(caller, wanted.acknowledgements)
    prepared = await plans.prepare(press.database, press.workshop, None, given)
    match.check(prepared.version, "The draft")
    await plans.acknowledge(session, caller, wanted.acknowledgements, prepared.judged.findings)
    plans.refuse_held(prepared.judged.holding)
    row = await draft_rows.draft_row(session, lock=True)
    match.check(row.version, "The draft")
    return await _store(press, session, caller, prepared, message=wanted.message)


async def roll_back(
    press: Press,
    session: AsyncSession,
    caller: Caller,
    *,
    match: Precondition,
    number: int,
    wanted: RollbackIn,
) -> Revision:
    """An older document as a new revision, and as the draft. What widens is for admins."""
    async with press.database.reading() as reading:
        old = await get(reading, number)
    given = plans.taken_on(caller, wanted.acknowledgements)
    prepared = await plans.prepare(press.database, press.workshop, content_of(old), given)
    judged = prepared.judged
    if not judged.only_narrows:
        require(caller, Role.admin, f"Going back to revision {number} widens what is allowed.")
    await plans.acknowledge(session, caller, wanted.acknowledgements, judged.findings)
    plans.refuse_held(judged.holding)
    await drafts.replace(session, caller, match, prepared.asked.content, reason=wanted.reason)
    message = wanted.reason or f"Back to revision {number}"
    return await _store(press, session, caller, prepared, message=message, rollback_of=number)


async def _store(
    press: Press,
    session: AsyncSession,
    caller: Caller,
    prepared: Prepared,
    *,
    message: str,
    rollback_of: int | None = None,
) -> Revision:
    v = await tick(session, press.fleet)
    servers = await server_rows.active_lines(session)
    users = await relay_users.bundled(session)
    if (_versions(servers), users) != (_versions(prepared.servers), prepared.asked.published.users):
        told = "Servers or relay users changed in the same moment. Try again."
        raise Unavailable(told, headers={"Retry-After": "1"})
    lines = await server_rows.assignment_lines(session)
    parent = await repository.latest(session)
    published = {server.id: _published(server) for server in servers}
    rendered = prepared.judged.rendered
    if parent is not None and rollback_of is None and not _is_news(parent, rendered, published, lines):
        return parent
    await repository.keep_bundles(session, press.signer, rendered.bundles)
    number = parent.number + 1 if parent else 1
    changed = await assigning.assign_all(session, servers, lines, rendered.by_server, revision=number, v=v)
    revision = Revision(
        number=number,
        digest=rendered.digest,
        document=rendered.text,
        servers=published,
        parent=parent.number if parent else None,
        rollback_of=rollback_of,
        message=message,
        author=caller.name,
        report={
            "changed_servers": changed,
            "bundles": len(rendered.bundles),
            "only_narrows": prepared.judged.only_narrows,
            "findings": len(prepared.judged.findings),
        },
        created_at=datetime.now(UTC),
    )
    session.add(revision)
    await session.flush()
    out = RevisionOut.model_validate(revision)
    action = "publish" if rollback_of is None else "rollback"
    record(session, caller, action, Target("revision", str(number), str(number)), after=out, reason=message)
    return revision


def _versions(servers: Sequence[ServerLine]) -> dict[str, int]:
    return {server.id: server.version for server in servers}


def _is_news(
    parent: Revision, rendered: Rendered, published: dict[str, Any], lines: Mapping[str, AssignmentLine]
) -> bool:
    """Whether publishing would give anybody anything: another document, other servers, or one that was blocked."""
    if (parent.digest, parent.servers) != (rendered.digest, published):
        return True
    return any(lines[server_id].state == "blocked" for server_id in published)


def _published(server: ServerLine) -> dict[str, Any]:
    return {"name": server.name, "fqdn": server.fqdn, "labels": server.labels, "addresses": server.addresses}
