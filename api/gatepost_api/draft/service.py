"""Reading and replacing the draft as a whole. Edits of one piece are in `pieces.py`; both go through `touch`."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.audit.service import Target, record
from gatepost_api.auth import Caller
from gatepost_api.documents import KINDS, REST
from gatepost_api.draft import repository
from gatepost_api.draft.schemas import Changes, DraftSaved
from gatepost_api.etags import Precondition
from gatepost_api.tables import DraftRow

TARGET = Target("draft", "draft", "draft")


class Draft(NamedTuple):
    """The document being edited, as plain JSON values, and its version."""

    version: int
    content: dict[str, Any]


async def read(session: AsyncSession) -> Draft:
    row = await repository.draft_row(session)
    content: dict[str, Any] = {}
    for piece in await repository.pieces(session):
        content.setdefault(piece.kind, []).append(piece.body)
    ordered = {kind: content[kind] for kind in KINDS if kind in content}
    return Draft(version=row.version, content=ordered | row.rest)


async def touch(session: AsyncSession, row: DraftRow) -> None:
    """Give the draft a new version; flushed, so that a name taken meanwhile is found here."""
    row.updated_at = datetime.now(UTC)
    await session.flush()


async def replace(
    session: AsyncSession,
    caller: Caller,
    match: Precondition | None,
    content: dict[str, Any],
    *,
    reason: str = "",
) -> DraftSaved:
    """Make `content` (checked already) the draft. Pieces of an equal name keep their id, equal ones their ETag."""
    row = await repository.draft_row(session, lock=True)
    if match is not None:
        match.check(row.version, "The draft")
    before = {(piece.kind, piece.name_key): piece for piece in await repository.pieces(session)}
    changes = Changes()
    for kind, key in KINDS.items():
        for position, body in enumerate(content.get(kind, ())):
            piece = before.pop((kind, body[key].lower()), None)
            name = f"{kind}/{body[key]}"
            if piece is None:
                changes.added.append(name)
                session.add(repository.new_piece(kind, body, position))
                continue
            if piece.body != body:
                changes.changed.append(name)
            repository.change_piece(piece, body)
            piece.position = position
    for piece in before.values():
        changes.removed.append(f"{piece.kind}/{piece.name}")
        await session.delete(piece)
    row.rest = {key: content[key] for key in REST if key in content}
    await touch(session, row)
    record(session, caller, "replace", TARGET, after=changes, reason=reason)
    return DraftSaved(version=row.version, changes=changes)
