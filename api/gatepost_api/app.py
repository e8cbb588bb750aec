"""The application, put together: plumbing, nouns, and what lives as long as the process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from gatepost_api import __version__, health, problems, retention
from gatepost_api.accepted_domains.endpoints import router as accepted_domains
from gatepost_api.audit.endpoints import router as audit
from gatepost_api.auth import Viewer
from gatepost_api.checkins.agents import Agents
from gatepost_api.checkins.endpoints import router as checkins
from gatepost_api.checkins.enrolling import Enrolling
from gatepost_api.checkins.intake import Intake
from gatepost_api.checkins.parking import Parking
from gatepost_api.checkins.service import Desk
from gatepost_api.connectors.endpoints import router as connectors
from gatepost_api.counts.endpoints import router as counts
from gatepost_api.db import Database
from gatepost_api.denied.endpoints import router as denied
from gatepost_api.draft.endpoints import router as draft
from gatepost_api.enrollment.endpoints import router as enrollment
from gatepost_api.explain.endpoints import router as explain
from gatepost_api.fleet import Fleet
from gatepost_api.health import Metrics
from gatepost_api.idempotency import CallsInProgress, Replayed, replay
from gatepost_api.keys import load_or_create_signer
from gatepost_api.middleware import BodySize, RateLimit, RequestId
from gatepost_api.permissions.endpoints import router as permissions
from gatepost_api.plans.endpoints import router as plans
from gatepost_api.relay_users.endpoints import router as relay_users
from gatepost_api.revisions.endpoints import router as revisions
from gatepost_api.rollouts.endpoints import router as rollouts
from gatepost_api.send_connectors.endpoints import router as send_connectors
from gatepost_api.servers import retrying
from gatepost_api.servers.endpoints import router as servers
from gatepost_api.settings import Settings
from gatepost_api.tokens.endpoints import router as tokens
from gatepost_api.work import Workshop

# Routes are tried in this order: what agents call is called most.
NOUNS: tuple[APIRouter, ...] = (
    checkins,
    health.router,
    draft,
    connectors,
    permissions,
    accepted_domains,
    send_connectors,
    plans,
    explain,
    revisions,
    rollouts,
    servers,
    enrollment,
    denied,
    relay_users,
    counts,
    tokens,
    audit,
)


CONVENTIONS = """
* Refusals are problems (RFC 9457): `type` is stable, `errors` names each fault with a JSON pointer, the value and the
  remedy, `instance` is the request's id, which is in `X-Request-Id`, in logs and in the audit trail too.
* What changes an existing object needs `If-Match` with its `ETag`: 428 without, 412 when somebody was faster.
* `Idempotency-Key` on a POST: a repeat within a day gets the first answer, with `Idempotency-Replayed: true`. An answer
  that held a secret is not given again (409 `secret-already-shown`).
* Listings have `limit` and `cursor`; `next_cursor`, and `Link: rel="next"`, lead on. An unknown filter is refused.
* `Prefer: wait=60` on reads of what converges (servers, rollouts) waits for the end, and gives the present state.
* Durations end in `_s`, sizes in `_bytes`; connector settings are Exchange's, in snake_case and in Exchange's forms.
"""


def operation_id(route: APIRoute) -> str:
    """The function's own name: generated clients read well; a test keeps the names unique."""
    return route.name


def lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Opens what the application needs, runs its loops, and closes everything again."""

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        state = app.state
        state.signer = load_or_create_signer(settings.key_path)
        state.database = Database(settings.database_url)
        state.workshop = Workshop()
        parking: Parking = state.parking
        state.fleet = fleet = Fleet(state.database, parking)
        state.agents = Agents(state.database, fleet)
        state.enrolling = Enrolling(fleet, state.signer, state.workshop)
        intake = Intake(state.database)
        state.desk = Desk(settings, state.signer, fleet=fleet, parking=parking, intake=intake)
        await fleet.catch_up()
        loops = [
            asyncio.create_task(parking.run(), name="parking"),
            asyncio.create_task(intake.run(), name="intake"),
            asyncio.create_task(fleet.follow(), name="fleet"),
            asyncio.create_task(retrying.run(state.database, fleet), name="retrying"),
            asyncio.create_task(retention.run(state.database, settings.audit_days), name="retention"),
        ]
        try:
            yield
        finally:
            parking.drain()
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await intake.finish()
            state.workshop.close()
            await state.database.close()

    return live


async def schema(request: Request, caller: Viewer) -> dict[str, Any]:
    """The schema where /docs is turned off: for token holders."""
    described: dict[str, Any] = request.app.openapi()
    return described


def create_app(settings: Settings) -> FastAPI:
    """The control plane as an ASGI application; its database has to be migrated already."""
    described: dict[str, Any] = {
        "title": "Gatepost",
        "summary": "One door for device mail: connectors, revisions, agents.",
        "description": CONVENTIONS,
        "version": __version__,
        "lifespan": lifespan(settings),
        "generate_unique_id_function": operation_id,
        "redoc_url": None,
    }
    # The page needs the schema, so both are public, or neither is.
    app = (
        FastAPIOffline(**described)
        if settings.docs
        else FastAPI(**described, docs_url=None, openapi_url=None)
    )
    if not settings.docs:
        app.add_api_route("/openapi.json", schema, include_in_schema=False)
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.state.parking = Parking(settings.wakes_per_s, app.state.metrics.parked)
    app.state.calls_in_progress = CallsInProgress()
    problems.install(app)
    app.add_exception_handler(Replayed, replay)
    for router in NOUNS:
        app.include_router(router)
    app.add_middleware(
        BodySize, max_bytes=settings.max_body_bytes, max_agent_bytes=settings.max_checkin_bytes
    )
    app.add_middleware(RateLimit, rate_per_s=settings.rate_per_s, burst=settings.rate_burst)
    app.add_middleware(RequestId, observe=app.state.metrics.observe)  # added last, so it is outermost
    return app
