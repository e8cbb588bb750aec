"""The route class of the user plane: unknown filters are refused, repeats of a POST are answered from memory."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.responses import Response

from gatepost_api import idempotency
from gatepost_api.errors import UnknownFilter
from gatepost_api.problems import RESPONSES

Handler = Callable[[Request], Awaitable[Response]]


class Route(APIRoute):
    """One operation of the user plane."""

    def get_route_handler(self) -> Handler:  # type: ignore[override]
        inner = super().get_route_handler()
        known = query_names(self.dependant)

        async def handle(request: Request) -> Response:
            refuse_unknown_filters(request, known)
            response: Response = await inner(request)
            keep(request, response)
            return response

        return handle


def query_names(dependant: Dependant) -> set[str]:
    """The query parameters that an operation and its dependencies declare."""
    names = {field.alias for field in dependant.query_params}
    return names.union(*(query_names(inner) for inner in dependant.dependencies))


def refuse_unknown_filters(request: Request, known: set[str]) -> None:
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        what = ", ".join(sorted(known)) or "none"
        raise UnknownFilter(f"Unknown query parameters: {', '.join(unknown)[:200]}. Known here: {what}.")


def keep(request: Request, response: Response) -> None:
    """Keep an idempotent answer; the session's commit, which follows, makes it and the effect one."""
    secret = getattr(request.state, "shows_secret", False)
    if secret:
        response.headers["Cache-Control"] = "no-store"
    call = getattr(request.state, "idempotent_call", None)
    session = getattr(request.state, "session", None)
    if call is not None and session is not None and response.status_code < 400:
        idempotency.keep_answer(session, call, response, secret=secret)


def noun(path: str, tag: str) -> APIRouter:
    """The router of one noun below /v1: a token is needed, a repeated POST is done once."""
    return APIRouter(
        prefix=f"/v1{path}",
        tags=[tag],
        route_class=Route,
        responses=RESPONSES,
        dependencies=[idempotency.Once],
    )
