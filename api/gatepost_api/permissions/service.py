"""A connector's entries: listed with where they come from, added and removed as explicit ones."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.model.connector import ReceiveConnector
from gatepost.policy.model.rights import EFFECTIVE, Ace, Right
from gatepost_api.auth import Caller
from gatepost_api.draft import pieces
from gatepost_api.errors import Conflict, NotFound
from gatepost_api.etags import Precondition
from gatepost_api.permissions.schemas import PermissionRow, PermissionsIn
from gatepost_api.tables import DraftObject

KIND = "connectors"


class Wanted(NamedTuple):
    """Filters of the listing; None takes every entry."""

    user: str | None = None
    right: Right | None = None
    deny: bool | None = None
    inherited: bool | None = None
    source: str | None = None


def rows_of(connector: ReceiveConnector, wanted: Wanted) -> list[PermissionRow]:
    """The connector's entries that the filters take, as the verification listing shows them."""
    return [_row(ace) for ace in connector.aces if _takes(wanted, ace)]


def _takes(wanted: Wanted, ace: Ace) -> bool:
    asked = (wanted.user, wanted.right, wanted.deny, wanted.inherited, wanted.source)
    has = (ace.principal, ace.right, ace.deny, ace.inherited, ace.source)
    return all(want is None or want == value for want, value in zip(asked, has, strict=True))


def _row(ace: Ace) -> PermissionRow:
    return PermissionRow(
        user=ace.principal,
        right=str(ace.right),
        deny=ace.deny,
        inherited=ace.inherited,
        source=ace.source,
        effect="" if ace.right in EFFECTIVE else "none here",
    )


async def get(session: AsyncSession, piece_id: str) -> tuple[DraftObject, ReceiveConnector]:
    row = await pieces.get(session, KIND, piece_id)
    return row, ReceiveConnector.model_validate(row.body)


async def add(
    session: AsyncSession, caller: Caller, piece_id: str, match: Precondition, body: PermissionsIn
) -> DraftObject:
    """Add explicit entries, those that exist already aside."""
    _, connector = await get(session, piece_id)
    explicit = {ace[:4] for ace in connector.aces if ace.source == "explicit"}
    added = {Ace(body.user, right, body.deny, body.inherited, "explicit")[:4] for right in body.rights}
    return await _store(session, caller, piece_id, match, [*explicit, *sorted(added - explicit)])


async def remove(
    session: AsyncSession, caller: Caller, piece_id: str, match: Precondition, entry: Ace
) -> DraftObject:
    """Remove one explicit entry. What a group supplies cannot be removed: deny it, or take the group away."""
    _, connector = await get(session, piece_id)
    explicit = [ace[:4] for ace in connector.aces if ace.source == "explicit"]
    if entry[:4] not in explicit:
        supplied = next((ace.source for ace in connector.aces if ace[:4] == entry[:4]), None)
        if supplied is None:
            raise NotFound(f"{connector.name!r} has no such permission of {entry.principal}.")
        raise Conflict(
            f"The right comes from {supplied}. Deny it with an explicit entry, or remove the group."
        )
    return await _store(session, caller, piece_id, match, [kept for kept in explicit if kept != entry[:4]])


async def _store(
    session: AsyncSession,
    caller: Caller,
    piece_id: str,
    match: Precondition,
    entries: Iterable[tuple[str, Right, bool, bool]],
) -> DraftObject:
    """Write entries as permissions: one for each principal, kind and inheritance, with all its rights."""
    grouped: dict[tuple[str, bool, bool], list[str]] = {}
    for principal, right, deny, inherited in entries:
        grouped.setdefault((principal, deny, inherited), []).append(str(right))
    permissions: list[dict[str, Any]] = [
        {"principal": principal, "rights": rights, "deny": deny, "inherited": inherited}
        for (principal, deny, inherited), rights in grouped.items()
    ]
    return await pieces.patch(session, caller, (KIND, piece_id), match, {"permissions": permissions})
