"""The two ways to let a connector's hosts relay, one or the other; default connectors; what ranges are used."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.model.bundle import Server as Host
from gatepost.policy.model.connector import AuthMechanism
from gatepost.policy.model.rights import ANONYMOUS, EXTERNALLY_SECURED, PermissionGroup, Right
from gatepost_api.auth import Caller
from gatepost_api.connectors.default import default_connector, is_default, rival
from gatepost_api.connectors.repository import last_hits
from gatepost_api.connectors.schemas import ConnectorRange, DefaultConnectorIn
from gatepost_api.draft import pieces
from gatepost_api.draft import repository as draft_rows
from gatepost_api.errors import Conflict
from gatepost_api.etags import Precondition
from gatepost_api.tables import DraftObject, Server

KIND = "connectors"
RELAYING = (Right.SUBMIT, Right.ANY_RECIPIENT)  # without one of them nobody can relay


async def make_default(
    session: AsyncSession, caller: Caller, server: Server, wanted: DefaultConnectorIn
) -> DraftObject:
    """A safe default connector for a server, in the draft. Conflict when it has one on such a port."""
    if server.state != "active":
        raise Conflict(f"{server.name} is {server.state}.")
    await draft_rows.draft_row(session, lock=True)
    host = Host(server.name, server.labels, server.addresses, server.fqdn)
    found = rival([row.body for row in await draft_rows.pieces(session, KIND)], host, wanted.bindings)
    if found is not None:
        raise Conflict(
            f"{server.name} has the default connector {found['name']!r} on {', '.join(found['bindings'])}. "
            "Edit that one, or give bindings with other ports."
        )
    return await pieces.create(session, caller, KIND, default_connector(server.name, wanted.bindings))


async def used_ranges(
    session: AsyncSession, piece_id: str, unused_since: datetime | None
) -> list[ConnectorRange]:
    """The connector's ranges in its order; only those that took nobody since a time, when one is given."""
    row = await pieces.get(session, KIND, piece_id)
    hits = await last_hits(session, row.name)
    listed = [_shown_range(given, hits) for given in row.body.get("remote_ip_ranges", ())]
    if unused_since is None:
        return listed
    return [one for one in listed if one.last_hit is None or one.last_hit < unused_since]


def _shown_range(given: Any, hits: Mapping[str, datetime]) -> ConnectorRange:
    entry = {"range": given} if isinstance(given, str) else given
    return ConnectorRange(
        range=entry["range"],
        note=entry.get("note", ""),
        expires_at=entry.get("expires_at"),
        last_hit=hits.get(entry["range"]),
    )


async def set_anonymous_relay(
    session: AsyncSession, caller: Caller, piece_id: str, match: Precondition | None, method: str
) -> DraftObject:
    """Configure the connector by one method; what the other method had set is taken back.

    Conflict on a default connector, and where a denial would win. Source: the article, which wants a dedicated
    connector for relay.
    """
    await draft_rows.draft_row(session, lock=True)  # or what is kept of the permissions could change
    row = await pieces.get(session, KIND, piece_id)
    if is_default(row.body):
        raise Conflict(
            f"{row.name!r} is a default connector: it takes everybody, so with relay rights the server would be an "
            "open relay. Create a dedicated connector that lists the hosts that may relay; the most specific range "
            "wins, so it may share the bindings."
        )
    _refuse_denied(row, ANONYMOUS if method == "anonymous" else EXTERNALLY_SECURED)
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
    """Explicit permissions that neither method gave: those of other principals, and every denial."""
    both = {ANONYMOUS, EXTERNALLY_SECURED}
    given = body.get("permissions", [])
    return [entry for entry in given if entry.get("deny") or entry["principal"] not in both]


def _refuse_denied(row: DraftObject, principal: str) -> None:
    """Conflict when the principal is denied what relay needs: an inherited denial loses, an explicit one wins."""
    for entry in row.body.get("permissions", []):
        wins = entry["principal"] == principal and entry.get("deny") and not entry.get("inherited")
        denied = [right for right in entry["rights"] if wins and right in RELAYING]
        if denied:
            raise Conflict(
                f"{row.name!r} denies {', '.join(denied)} to {principal} explicitly, which wins over what this would "
                "allow: nobody could relay. Remove that permission first."
            )
