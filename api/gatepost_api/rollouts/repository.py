"""Assignments of a revision."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.tables import Assignment, Liveness, Server

ACTIVE = Server.state == "active"


class Late(NamedTuple):
    """A server that is not in one of the states asked for."""

    server_id: str
    server: str
    state: str
    reason: str
    last_seen: datetime
    said_goodbye: bool


async def states(session: AsyncSession, revision: int) -> dict[str, int]:
    """How many active servers are in which state of this revision."""
    query = (
        select(Assignment.state, func.count())
        .join(Server, Server.id == Assignment.server_id)
        .where(ACTIVE, Assignment.revision == revision)
        .group_by(Assignment.state)
    )
    return {row[0]: row[1] for row in (await session.execute(query)).all()}


async def servers_not_in(session: AsyncSession, revision: int, done: Sequence[str], limit: int) -> list[Late]:
    """The first servers of the revision whose state is not among `done`."""
    query = (
        select(Server.id, Server.name, Assignment.state, Assignment.reason)
        .add_columns(Liveness.last_seen, Liveness.said_goodbye)
        .join(Assignment, Assignment.server_id == Server.id)
        .join(Liveness, Liveness.server_id == Server.id)
        .where(ACTIVE, Assignment.revision == revision, Assignment.state.not_in(done))
        .order_by(Server.name)
        .limit(limit)
    )
    return [Late(*row) for row in (await session.execute(query)).all()]
