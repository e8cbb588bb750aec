"""Editing the draft piece by piece: connectors, accepted domains and send connectors alike.

Every change takes the draft's row first, so edits of one piece and of the whole document queue up, and gives the
draft a new version beside the piece's own.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.model.base import Configured
from gatepost_api import documents
from gatepost_api.audit.service import Target, record
from gatepost_api.auth import Caller
from gatepost_api.documents import KINDS
from gatepost_api.draft import repository
from gatepost_api.draft.service import touch
from gatepost_api.errors import NameTaken, NotFound
from gatepost_api.etags import Precondition
from gatepost_api.tables import DraftObject

WORDS = {
    "accepted_domains": "accepted-domain",
    "connectors": "connector",
    "send_connectors": "send-connector",
}


def shown(row: DraftObject) -> dict[str, Any]:
    """A piece with its id and every setting, defaults too."""
    return {"id": row.id, **documents.with_defaults(row.kind, row.body)}


def target(row: DraftObject) -> Target:
    return Target(WORDS[row.kind], row.id, row.name)


async def get(session: AsyncSession, kind: str, piece_id: str) -> DraftObject:
    row = await repository.piece(session, kind, piece_id)
    if row is None:
        raise NotFound(f"There is no {WORDS[kind]} {piece_id!r}.")
    return row


async def create(session: AsyncSession, caller: Caller, kind: str, piece: Configured) -> DraftObject:
    """A new piece at the end of its list. NameTaken when the draft has one of that name, in any case."""
    draft = await repository.draft_row(session, lock=True)
    body = documents.body_of(piece)
    await _refuse_taken(session, kind, body[KINDS[kind]])
    row = repository.new_piece(kind, body, await repository.next_position(session, kind))
    session.add(row)
    await touch(session, draft)
    record(session, caller, "create", target(row), after=body)
    return row


async def replace(
    session: AsyncSession,
    caller: Caller,
    row_id: tuple[str, str],
    match: Precondition | None,
    piece: Configured,
) -> DraftObject:
    """Set a piece (kind, id) to new settings; another name is a rename, and the id stays."""
    draft = await repository.draft_row(session, lock=True)
    kind, piece_id = row_id
    row = await get(session, kind, piece_id)
    await session.refresh(row)  # read before the lock was ours
    if match is not None:
        match.check(row.version, f"The {WORDS[kind]} {row.name!r}")
    before, body = row.body, documents.body_of(piece)
    if before == body:
        return row
    await _refuse_taken(session, kind, body[KINDS[kind]], but=row.id)
    repository.change_piece(row, body)
    await touch(session, draft)
    record(session, caller, "edit", target(row), before=before, after=body)
    return row


async def patch(
    session: AsyncSession,
    caller: Caller,
    row_id: tuple[str, str],
    match: Precondition | None,
    changes: Mapping[str, Any],
) -> DraftObject:
    """Apply a merge patch (RFC 7396): null resets a setting to its default. Raises Invalid."""
    row = await get(session, *row_id)
    merged = merge(row.body, changes)
    if match is not None:
        match.check(row.version, f"The {WORDS[row.kind]} {row.name!r}")
    return await replace(session, caller, row_id, match, documents.piece_of(row.kind, merged))


async def remove(
    session: AsyncSession, caller: Caller, kind: str, piece_id: str, match: Precondition
) -> None:
    draft = await repository.draft_row(session, lock=True)
    row = await get(session, kind, piece_id)
    match.check(row.version, f"The {WORDS[kind]} {row.name!r}")
    await session.delete(row)
    await touch(session, draft)
    record(session, caller, "remove", target(row), before=row.body)


def merge(body: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396; settings hold no objects, so one level is all there is."""
    merged = {name: value for name, value in body.items() if name not in changes}
    return merged | {name: value for name, value in changes.items() if value is not None}


async def _refuse_taken(session: AsyncSession, kind: str, name: str, *, but: str | None = None) -> None:
    if await repository.name_is_taken(session, kind, name, but=but):
        raise NameTaken(f"The draft has a {WORDS[kind]} {name!r}. Choose another name, or edit that one.")
