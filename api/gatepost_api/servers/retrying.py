"""Trying again by itself: a rejection whose reasons pass (a port busy, a file not there yet) gets three more tries.

A retry is a new generation of the same bundle, 1, 5 and 15 minutes after the rejection. Anything else waits for
`POST /v1/servers/{id}:retry`.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from gatepost_api.db import Database
from gatepost_api.errors import ApiError
from gatepost_api.fleet import Fleet, tick
from gatepost_api.tables import Assignment, Attempt, Server

DELAYS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
LOOK_BACK = timedelta(hours=2)
EVERY_S = 15.0
log = structlog.get_logger("gatepost_api")


async def due(session: AsyncSession, now: datetime) -> list[tuple[str, int]]:
    """Servers and the generation that they rejected for passing reasons, whose next try is due."""
    found = []
    for server_id, generation, changed_at, errors, tries in await _rejections(session, now):
        passing = bool(errors) and all(error.get("retryable") for error in errors)
        if passing and tries <= len(DELAYS) and now - changed_at >= DELAYS[tries - 1]:
            found.append((server_id, generation))
    return found


async def _rejections(
    session: AsyncSession, now: datetime
) -> Sequence[tuple[str, int, datetime, list[dict[str, object]], int]]:
    """Active servers that rejected what they are assigned: the reasons, and how often they did so lately."""
    earlier = aliased(Attempt)
    tries = (
        select(func.count(earlier.id))
        .where(earlier.server_id == Assignment.server_id, earlier.digest == Assignment.digest)
        .where(earlier.outcome == "rejected", earlier.at > now - LOOK_BACK)
        .scalar_subquery()
    )
    query = (
        select(Assignment.server_id, Assignment.generation, Assignment.changed_at, Attempt.errors, tries)
        .join(Server, Server.id == Assignment.server_id)
        .join(Attempt, Attempt.server_id == Assignment.server_id)
        .where(Server.state == "active", Assignment.state == "rejected")
        .where(Attempt.generation == Assignment.generation, Attempt.outcome == "rejected")
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in (await session.execute(query)).all()]


async def retry_due(database: Database, fleet: Fleet, now: datetime) -> int:
    """Give every server that is due its new generation; how many there were."""
    async with database.reading() as session:
        servers = await due(session, now)
    if not servers:
        return 0
    async with database.writing() as session:
        v = await tick(session, fleet)
        for server_id, generation in servers:
            mine = (Assignment.server_id == server_id, Assignment.generation == generation)
            query = update(Assignment).where(*mine, Assignment.state == "rejected")
            await session.execute(
                query.values(generation=generation + 1, state="pending", reason="", v=v, changed_at=now)
            )
    return len(servers)


async def run(database: Database, fleet: Fleet) -> None:
    """Look every few seconds until cancelled."""
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            await retry_due(database, fleet, datetime.now(UTC))
        except (SQLAlchemyError, ApiError) as error:
            log.warning("retries failed", kind=type(error).__name__)
