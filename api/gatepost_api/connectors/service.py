"""The two ways to let a connector's hosts relay. One or the other, and not both at the same time."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.model.connector import AuthMechanism
from gatepost.policy.model.rights import ANONYMOUS, EXTERNALLY_SECURED, PermissionGroup, Right
from gatepost_api.auth import Caller
from gatepost_api.draft import pieces
from gatepost_api.etags import Precondition
from gatepost_api.tables import DraftObject

KIND = "connectors"


async def set_anonymous_relay(
    session: AsyncSession, caller: Caller, piece_id: str, match: Precondition | None, method: str
) -> DraftObject:
    """Configure the connector by one method; what the other method had set is taken back."""
    row = await pieces.get(session, KIND, piece_id)
    changes = anonymous(row.body) if method == "anonymous" else externally_secured(row.body)
    return await pieces.patch(session, caller, (KIND, piece_id), match, changes)


def anonymous(body: dict[str, Any]) -> dict[str, Any]:
    """AnonymousUsers and Accept-Any-Recipient for the anonymous principal: five rights."""
    mechanisms = body.get("auth_mechanism")
    kept = (
        None if mechanisms is None else [m for m in mechanisms if m != AuthMechanism.EXTERNAL_AUTHORITATIVE]
    )
    granted = {"principal": ANONYMOUS, "rights": [Right.ANY_RECIPIENT]}
    return {
        "permission_groups": [PermissionGroup.ANONYMOUS_USERS],
        "auth_mechanism": kept or None,
        "permissions": [*_others(body), granted],
    }


def externally_secured(body: dict[str, Any]) -> dict[str, Any]:
    """ExchangeServers and Externally secured: nine rights, and the hosts are trusted completely."""
    return {
        "permission_groups": [PermissionGroup.EXCHANGE_SERVERS],
        "auth_mechanism": [AuthMechanism.EXTERNAL_AUTHORITATIVE],
        "permissions": _others(body),
    }


def _others(body: dict[str, Any]) -> list[Any]:
    """Explicit permissions of principals that neither method is about."""
    both = {ANONYMOUS, EXTERNALLY_SECURED}
    return [entry for entry in body.get("permissions", []) if entry["principal"] not in both]
