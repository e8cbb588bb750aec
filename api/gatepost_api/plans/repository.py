"""What a plan is made of: the published side, the servers, the acknowledgements."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.analysis.findings import Acknowledgement
from gatepost_api.plans.judging import Published
from gatepost_api.relay_users import repository as relay_users
from gatepost_api.revisions import repository as revisions
from gatepost_api.servers import assigning
from gatepost_api.servers import repository as server_rows
from gatepost_api.servers.repository import ServerLine
from gatepost_api.tables import Acknowledgement as AcknowledgementRow


async def published_side(session: AsyncSession, servers: Sequence[ServerLine]) -> Published:
    """The revision in force, those servers that shall run it, under the facts it was published with, and relay users.

    A server that came since shall run it too, unless it is blocked: then it runs nothing, and all would be new there.
    """
    latest = await revisions.latest(session)
    users = await relay_users.bundled(session)
    if latest is None:
        return Published("", (), users)
    rows = await server_rows.assignment_lines(session)
    running = [
        server for server in servers if server.id in latest.servers or rows[server.id].state != "blocked"
    ]
    return Published(latest.document, tuple(map(assigning.published_facts_of, running)), users)


async def acknowledgements(session: AsyncSession) -> list[Acknowledgement]:
    """Those that still hold."""
    query = select(AcknowledgementRow).where(AcknowledgementRow.until > datetime.now(UTC))
    return [
        Acknowledgement(row.finding_id, row.who, row.why, row.until.timestamp())
        for row in await session.scalars(query)
    ]
