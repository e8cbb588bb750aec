"""Exceptions to RFC 9457 answers: ours by the table, the framework's and the database's by translation."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gatepost.policy.model.errors import BadValue, faults
from gatepost_api.errors import (
    TABLE,
    ApiError,
    BadRequest,
    Conflict,
    FieldError,
    Invalid,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    Problem,
    TooLarge,
    Trouble,
    Unavailable,
    problem_body,
    problem_type,
)

MEDIA_TYPE = "application/problem+json"
SHOWN_CHARS = 200
MAX_ERRORS = 100
PROBLEM_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "An RFC 9457 problem", "model": Problem, "content": {MEDIA_TYPE: {}}},
    "5XX": {"description": "An RFC 9457 problem", "model": Problem, "content": {MEDIA_TYPE: {}}},
}
log = structlog.get_logger("gatepost_api")


def request_id(request: Request) -> str:
    found: str = request.scope.get("request_id", "")
    return found


def problem_response(error: ApiError, instance: str) -> Response:
    """The whole answer of an error."""
    return Response(
        content=json.dumps(problem_body(error, instance)),
        status_code=problem_type(error).status,
        headers=error.headers,
        media_type=MEDIA_TYPE,
    )


def pointer(location: Sequence[str | int]) -> str:
    """FastAPI's location as an RFC 6901 pointer; what is not in the body begins with `#query/` and the like."""
    place, *steps = location or ("body",)
    path = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return path if place == "body" else f"#{place}{path}"


def shown(value: Any) -> Any:
    """A value as a problem may show it: short, JSON, and no token."""
    text = value if isinstance(value, str) else repr(value)
    if "gp_" in text:
        return "(not shown: it looks like a token)"
    if isinstance(value, bool | int | float | None):
        return value if value == value else "NaN"  # noqa: PLR0124 - the one value unequal to itself
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


def field_errors(errors: Sequence[Any]) -> list[FieldError]:
    """What is wrong outside the body: in the path, the query or a header."""
    return [_field_error(item) for item in errors]


def of_value(place: str, cause: BadValue) -> FieldError:
    """A value that the model refuses. place: an RFC 6901 pointer, or as in FieldError."""
    value, remedy = shown(cause.value), cause.remedy
    return FieldError(pointer=place, type="bad-value", detail=cause.problem, value=value, remedy=remedy)


def _field_error(item: Any) -> FieldError:
    place, cause = pointer(item["loc"]), (item.get("ctx") or {}).get("error")
    if isinstance(cause, BadValue):
        return of_value(place, cause)
    return FieldError(pointer=place, type=item["type"], detail=item["msg"], value=shown(item.get("input")))


class _OfBody(NamedTuple):
    """The framework's errors about the body in the form of pydantic's own exception."""

    items: Sequence[Any]

    def errors(self, *, include_url: bool) -> list[Any]:
        return [item | {"loc": item["loc"][1:]} for item in self.items]


def body_errors(errors: Sequence[Any], body: object) -> list[FieldError]:
    """What is wrong in the body, with the pointers and remedies of the fleet document's own faults."""
    found = faults(cast("ValidationError", _OfBody(errors)), body)
    return [FieldError(**fault._asdict() | {"value": shown(fault.value)}) for fault in found]


def from_validation(error: RequestValidationError) -> ApiError:
    errors = error.errors()
    if any(item["type"] == "json_invalid" for item in errors):
        return BadRequest(f"The body is no JSON: {errors[0].get('ctx', {}).get('error', 'syntax error')}.")
    in_body = [item for item in errors if item["loc"][:1] == ("body",)]
    elsewhere = [item for item in errors if item["loc"][:1] != ("body",)]
    found = field_errors(elsewhere) + body_errors(in_body, error.body)
    return Invalid(
        "The request holds values that are refused; nothing was stored.", errors=found[:MAX_ERRORS]
    )


def from_framework(error: HTTPException) -> ApiError:
    by_status: dict[int, type[ApiError]] = {
        404: NotFound,
        405: MethodNotAllowed,
        413: TooLarge,
    }
    kind = by_status.get(error.status_code, BadRequest)
    return kind(f"{HTTPStatus(error.status_code).phrase}.", headers=dict(error.headers or {}))


def from_database(error: SQLAlchemyError) -> ApiError:
    if isinstance(error, StaleDataError):
        return PreconditionFailed("Somebody else changed it in the same moment. Read it again.")
    if isinstance(error, IntegrityError):
        return Conflict("Another change got in first: a name or key is taken. Read it again.")
    if isinstance(error, DataError):
        return Invalid(
            "The request holds a value that no text or number here can be, such as a NUL character."
        )
    return Unavailable("The database does not answer now. Try again.", headers={"Retry-After": "2"})


def as_api_error(error: Exception) -> ApiError:
    """Any exception that has an answer, as one of our tree."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return from_validation(error)
    if isinstance(error, HTTPException):
        return from_framework(error)
    if isinstance(error, SQLAlchemyError):
        return from_database(error)
    return Trouble("An unexpected failure.")


def install(app: FastAPI) -> None:
    """Give the application its answers to every exception but our own bugs, which the middleware answers."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, SQLAlchemyError):
            log.warning("database", request_id=request_id(request), kind=type(error).__name__)
        return problem_response(as_api_error(error), request_id(request))

    for kind in (ApiError, RequestValidationError, HTTPException, SQLAlchemyError):
        app.add_exception_handler(kind, answer)


def trouble(reference: str) -> ApiError:
    """The fixed text of our own failure; the reference finds the log line."""
    return Trouble(f"An unexpected failure; nothing of the change was kept. Reference: {reference}.")


def known_problems() -> list[dict[str, Any]]:
    """Every problem type, for the page that their URIs point to."""
    rows = [
        {"type": f"/problems/{row.slug}", "status": row.status, "title": row.title} for row in TABLE.values()
    ]
    return sorted(rows, key=lambda row: str(row["type"]))
