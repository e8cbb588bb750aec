"""What a plan is made of: the published side, the servers, the acknowledgements."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.analysis.findings import Acknowledgement
from gatepost_api.plans.judging import Published
from gatepost_api.relay_users import repository as relay_users
from gatepost_api.revisions import repository as revisions
from gatepost_api.servers import assigning
from gatepost_api.tables import Acknowledgement as AcknowledgementRow
from gatepost_api.tables import Server


async def published_side(session: AsyncSession, servers: Sequence[Server]) -> Published:
    """The revision in force, those servers that run it, under the facts it was published with, and relay users."""
    latest = await revisions.latest(session)
    users = await relay_users.bundled(session)
    if latest is None:
        return Published("", (), users)
    known: dict[str, Any] = latest.servers
    return Published(
        latest.document,
        tuple(assigning.published_facts_of(server) for server in servers if server.id in known),
        users,
    )


async def acknowledgements(session: AsyncSession) -> list[Acknowledgement]:
    """Those that still hold."""
    query = select(AcknowledgementRow).where(AcknowledgementRow.until > datetime.now(UTC))
    return [
        Acknowledgement(row.finding_id, row.who, row.why, row.until.timestamp())
        for row in await session.scalars(query)
    ]
