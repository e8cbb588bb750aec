"""Is it alive, may it be used, and what does it measure: /healthz, /readyz, /metrics."""

import time
from collections import Counter as Tally
from collections.abc import Mapping

from fastapi import APIRouter, Request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gatepost_api.auth import Viewer
from gatepost_api.errors import NotFound
from gatepost_api.problems import RESPONSES, known_problems
from gatepost_api.schema import schema_state

STALE_S = 30.0
router = APIRouter(tags=["health"], responses=RESPONSES)


class Metrics:
    """What one process measures; a registry of its own, so that two applications can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "gatepost_api_requests_total", "Requests answered", ["method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "gatepost_api_request_seconds", "Time to answer, check-ins apart", registry=self.registry
        )
        self.parked = Gauge("gatepost_api_parked_checkins", "Check-ins that wait", registry=self.registry)
        self.servers = Gauge(
            "gatepost_api_servers",
            "Active servers by the state of their config",
            ["state"],
            registry=self.registry,
        )

    def count_servers(self, states: Mapping[str, int]) -> None:
        self.servers.clear()
        for state, number in states.items():
            self.servers.labels(state).set(number)

    def observe(self, method: str, status: int, seconds: float | None) -> None:
        known = method if method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} else "other"
        self.requests.labels(known, str(status)).inc()
        if seconds is not None:
            self.seconds.observe(seconds)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Not ready", "content": {"application/json": {}}}})
async def readyz(request: Request) -> Response:
    """200 when the database answers, its schema is the one this code needs, and the fleet is read; no more."""
    app = request.app.state
    if not (await schema_state(app.database.reader)).fits:
        return JSONResponse({"status": "schema"}, status_code=503)
    if time.monotonic() - app.fleet.read_at > STALE_S:
        return JSONResponse({"status": "stale"}, status_code=503)
    return JSONResponse({"status": "ready"})


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, caller: Viewer) -> Response:
    """Prometheus metrics of this process."""
    found: Metrics = request.app.state.metrics
    desired = request.app.state.fleet.desired.values()
    found.count_servers(Tally(one.state for one in desired if one.server_state == "active"))
    return Response(generate_latest(found.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/problems/{slug}")
async def get_problem_type(slug: str, caller: Viewer) -> dict[str, str | int]:
    """What a problem's `type` stands for."""
    for row in known_problems():
        if row["type"] == f"/problems/{slug}":
            return row
    raise NotFound(f"There is no problem type {slug!r}.")
