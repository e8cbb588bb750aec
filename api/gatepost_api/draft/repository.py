"""The draft in the database: one row with its version, one row for every piece that is edited alone."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.auth import new_id
from gatepost_api.documents import KINDS
from gatepost_api.tables import DraftObject, DraftRow

PREFIXES = {"accepted_domains": "dom", "connectors": "con", "send_connectors": "snd"}
DRAFT = 1


async def draft_row(session: AsyncSession, *, lock: bool = False) -> DraftRow:
    """The draft's row; `lock` keeps other edits waiting until this transaction ends."""
    row = await session.get(DraftRow, DRAFT, with_for_update=lock or None)
    if row is None:  # the first migration writes it
        raise LookupError("the draft's row is missing")
    return row


async def pieces(session: AsyncSession, kind: str | None = None) -> Sequence[DraftObject]:
    """All pieces in the document's order."""
    query = select(DraftObject).order_by(DraftObject.kind, DraftObject.position, DraftObject.id)
    if kind is not None:
        query = query.where(DraftObject.kind == kind)
    return (await session.scalars(query)).all()


async def page_of_pieces(
    session: AsyncSession, kind: str, after: str | None, limit: int, *, name: str | None = None
) -> Sequence[DraftObject]:
    """Up to `limit` pieces of a kind with an id above `after`; `name` in any case."""
    query = select(DraftObject).where(DraftObject.kind == kind).order_by(DraftObject.id).limit(limit)
    if after is not None:
        query = query.where(DraftObject.id > after)
    if name is not None:
        query = query.where(DraftObject.name_key == name.lower())
    return (await session.scalars(query)).all()


async def piece(session: AsyncSession, kind: str, piece_id: str) -> DraftObject | None:
    found = await session.get(DraftObject, piece_id)
    return found if found is not None and found.kind == kind else None


async def name_is_taken(session: AsyncSession, kind: str, name: str, *, but: str | None = None) -> bool:
    query = select(DraftObject.id).where(DraftObject.kind == kind, DraftObject.name_key == name.lower())
    found = (await session.scalars(query)).first()
    return found is not None and found != but


async def next_position(session: AsyncSession, kind: str) -> int:
    highest = await session.scalar(select(func.max(DraftObject.position)).where(DraftObject.kind == kind))
    return 0 if highest is None else highest + 1


def new_piece(kind: str, body: dict[str, Any], position: int) -> DraftObject:
    now = datetime.now(UTC)
    name = body[KINDS[kind]]
    return DraftObject(
        id=new_id(PREFIXES[kind]),
        kind=kind,
        name=name,
        name_key=name.lower(),
        position=position,
        body=body,
        created_at=now,
        updated_at=now,
    )


def change_piece(row: DraftObject, body: dict[str, Any]) -> None:
    """Set a piece's body, and its name with it; a body that is the same changes nothing."""
    if row.body == body:
        return
    row.body = body
    row.name = body[KINDS[row.kind]]
    row.name_key = row.name.lower()
    row.updated_at = datetime.now(UTC)
