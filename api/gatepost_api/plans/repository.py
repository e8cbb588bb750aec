"""What a plan is made of: the published side, the servers, the acknowledgements."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.analysis.findings import Acknowledgement
from gatepost_api.plans.judging import Published
from gatepost_api.revisions import repository as revisions
from gatepost_api.revisions.rendering import ServerFacts
from gatepost_api.tables import Acknowledgement as AcknowledgementRow
from gatepost_api.tables import Server


async def published_side(session: AsyncSession, servers: Sequence[Server]) -> Published:
    """The revision in force, and those servers that run it, under the facts that it was published with."""
    latest = await revisions.latest(session)
    if latest is None:
        return Published("", ())
    known: dict[str, Any] = latest.servers
    return Published(
        latest.document,
        tuple(
            ServerFacts(
                server.id,
                server.name,
                server.published_fqdn,
                server.published_labels,
                server.published_addresses,
            )
            for server in servers
            if server.id in known
        ),
    )


async def acknowledgements(session: AsyncSession) -> list[Acknowledgement]:
    """Those that still hold."""
    query = select(AcknowledgementRow).where(AcknowledgementRow.until > datetime.now(UTC))
    return [
        Acknowledgement(row.finding_id, row.who, row.why, row.until.timestamp())
        for row in await session.scalars(query)
    ]
