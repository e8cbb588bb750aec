"""Which server calls: agent tokens, looked up once and then remembered.

For an hour where no other process can end one (SQLite), for half a minute where one can. Retired and banned servers
are refused from memory, whatever is remembered of their token.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from fastapi import Request
from sqlalchemy import Select, delete, select

from gatepost_api.auth import digest_of, issue, proves, token_id
from gatepost_api.db import Database
from gatepost_api.errors import Banned, NotAuthenticated, Retired
from gatepost_api.fleet import Desired, Fleet
from gatepost_api.tables import AgentToken

ALONE_S, AMONG_OTHERS_S = 3600.0, 30.0
MAX_REMEMBERED = 50_000
READING = 2  # at once: a fleet that comes back leaves readers to everybody else
ROTATE_AFTER = timedelta(days=30)


class _Known(NamedTuple):
    server_id: str
    created_at: datetime
    until: float


class Agents:
    """The agents' credentials. Nothing here depends on an agent's clock, and no token expires."""

    def __init__(self, database: Database, fleet: Fleet) -> None:
        self._database = database
        self._fleet = fleet
        self._remembered_s = ALONE_S if database.is_sqlite else AMONG_OTHERS_S
        self._known: dict[str, _Known] = {}
        self._reading = asyncio.Semaphore(READING)

    async def identify(self, request: Request) -> Desired:
        """The calling server. NotAuthenticated, Retired or Banned; none of them changes what the agent runs."""
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        known = await self._look_up(text.strip()) if scheme.lower() == "bearer" else None
        if known is None:
            raise NotAuthenticated(
                "Send the agent's own token: it is not known here, or a newer one was used.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if known.server_id not in self._fleet.desired:
            await self._fleet.catch_up()
        desired = self._fleet.desired[known.server_id]
        if desired.server_state == "banned":
            raise Banned(f"{desired.name} is banned.")
        if desired.server_state == "retired":
            raise Retired(f"{desired.name} is retired; the host may enrol again as a new server.")
        return desired

    def is_old(self, request: Request) -> bool:
        """Whether the token of an identified request is due for rotation."""
        text = request.headers["authorization"].partition(" ")[2].strip()
        known = self._known.get(digest_of(text))
        return known is not None and datetime.now(UTC) - known.created_at > ROTATE_AFTER

    async def rotate(self, server_id: str) -> str:
        """A new token for the server; the present one stays good until the new one is first used."""
        secret = issue("agt")
        async with self._database.writing() as session:
            tokens = (await session.scalars(_tokens_of(server_id))).all()
            for unused in tokens[:-1] if len(tokens) > 1 else ():
                await session.delete(unused)  # handed out earlier and never used
            session.add(
                AgentToken(
                    id=secret.id, server_id=server_id, digest=secret.digest, created_at=datetime.now(UTC)
                )
            )
        return secret.text

    async def _look_up(self, text: str) -> _Known | None:
        digest = digest_of(text)
        known = self._known.get(digest)
        if known is not None and known.until > time.monotonic():
            return known
        handle = token_id(text, "agt")
        if handle is None:
            return None
        async with self._reading, self._database.reading() as session:
            row = await session.get(AgentToken, handle)
            if row is None or not proves(text, row.digest):
                self._known.pop(digest, None)
                return None
            older = (await session.scalars(_tokens_of(row.server_id))).all()
        if any(other.created_at < row.created_at for other in older):
            await self._end_older(row)
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        found = _Known(row.server_id, row.created_at, time.monotonic() + self._remembered_s)
        self._known[digest] = found
        return found

    async def _end_older(self, used: AgentToken) -> None:
        """The first use of a newer token ends the older ones, here at once."""
        async with self._database.writing() as session:
            await session.execute(
                delete(AgentToken).where(
                    AgentToken.server_id == used.server_id, AgentToken.created_at < used.created_at
                )
            )
        for digest in [digest for digest, known in self._known.items() if known.server_id == used.server_id]:
            del self._known[digest]


def _tokens_of(server_id: str) -> Select[AgentToken]:
    return select(AgentToken).where(AgentToken.server_id == server_id).order_by(AgentToken.created_at.desc())
