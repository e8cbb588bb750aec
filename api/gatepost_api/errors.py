"""Every error the API can answer with: one tree of exceptions, one table to RFC 9457 problems.

Code raises a class of the tree; `TABLE` says which problem it is. Nothing else picks a status.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, Field


class FieldError(BaseModel):
    """One fault in a request: where (RFC 6901 pointer), what was seen, and what to write instead."""

    pointer: str = Field(description="RFC 6901 pointer into the body, or `#header/…`, `#query/…`, `#path/…`")
    type: str
    detail: str
    value: Any = None
    remedy: str | None = None


class Problem(BaseModel):
    """An RFC 9457 problem; `instance` is the request id that logs and audit rows carry as well."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] = []


class ApiError(Exception):
    """Base of the tree. `detail` is shown to the caller, so it never holds a secret."""

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.members = members  # RFC 9457 extension members: findings, changed paths


class BadRequest(ApiError): ...


class UnknownFilter(BadRequest): ...


class BadCursor(BadRequest): ...


class NotAuthenticated(ApiError): ...


class NotAllowed(ApiError): ...


class Banned(NotAllowed): ...


class NotFound(ApiError): ...


class MethodNotAllowed(ApiError): ...


class NotAcceptable(ApiError): ...


class Conflict(ApiError): ...


class NameTaken(Conflict): ...


class DeniedSetHeld(Conflict): ...


class InProgress(Conflict): ...


class SecretAlreadyShown(Conflict): ...


class DuplicateIdentity(Conflict): ...


class Retired(ApiError): ...


class PreconditionFailed(ApiError): ...


class TooLarge(ApiError): ...


class UnsupportedMedia(ApiError): ...


class Invalid(ApiError): ...


class KeyReused(Invalid): ...


class RefusedByPolicy(Invalid): ...


class EmbeddedTestsFailed(Invalid): ...


class ProtocolTooOld(ApiError): ...


class PreconditionRequired(ApiError): ...


class TooManyRequests(ApiError): ...


class Unavailable(ApiError): ...


class Trouble(ApiError):
    """Our own fault; the text shown is fixed, the reason is in the log under the request id."""


class ProblemType(NamedTuple):
    slug: str
    status: int
    title: str


TABLE: Mapping[type[ApiError], ProblemType] = {
    BadRequest: ProblemType("bad-request", 400, "The request cannot be understood"),
    UnknownFilter: ProblemType("unknown-filter", 400, "There is no such filter"),
    BadCursor: ProblemType("bad-cursor", 400, "The cursor does not belong to this listing"),
    NotAuthenticated: ProblemType("not-authenticated", 401, "A valid token is needed"),
    NotAllowed: ProblemType("not-allowed", 403, "The token's role does not allow this"),
    Banned: ProblemType("banned", 403, "This server is banned"),
    NotFound: ProblemType("not-found", 404, "There is no such object"),
    MethodNotAllowed: ProblemType("method-not-allowed", 405, "The method is not known here"),
    NotAcceptable: ProblemType("not-acceptable", 406, "No such representation"),
    Conflict: ProblemType("conflict", 409, "The request conflicts with the present state"),
    NameTaken: ProblemType("name-taken", 409, "The name is taken"),
    DeniedSetHeld: ProblemType("denied-set-held", 409, "Somebody has to choose what is blocked"),
    InProgress: ProblemType("in-progress", 409, "The same request is still being worked on"),
    SecretAlreadyShown: ProblemType(
        "secret-already-shown", 409, "The secret was shown once and is not stored"
    ),
    DuplicateIdentity: ProblemType("duplicate-identity", 409, "Two hosts use one identity"),
    Retired: ProblemType("retired", 410, "This server is retired"),
    PreconditionFailed: ProblemType("stale", 412, "The object has changed since it was read"),
    TooLarge: ProblemType("too-large", 413, "The request is too large"),
    UnsupportedMedia: ProblemType("unsupported-media", 415, "The content type is not known here"),
    Invalid: ProblemType("invalid", 422, "The request holds invalid values"),
    KeyReused: ProblemType("idempotency-key-reused", 422, "The key belongs to another request"),
    RefusedByPolicy: ProblemType("refused-by-policy", 422, "Publishing this is refused by policy"),
    EmbeddedTestsFailed: ProblemType("tests-failed", 422, "The document's own tests fail"),
    ProtocolTooOld: ProblemType("protocol-too-old", 426, "The agent's protocol is no longer spoken"),
    PreconditionRequired: ProblemType("precondition-required", 428, "If-Match is required"),
    TooManyRequests: ProblemType("too-many-requests", 429, "Too many requests"),
    Trouble: ProblemType("trouble", 500, "The control plane failed"),
    Unavailable: ProblemType("unavailable", 503, "The control plane cannot do this now"),
}


def problem_type(error: ApiError) -> ProblemType:
    """The table's row of the error's class, or of its nearest base."""
    return next(TABLE[base] for base in type(error).__mro__ if base in TABLE)


def problem_body(error: ApiError, instance: str) -> dict[str, Any]:
    """The problem as JSON members; extension members come last."""
    kind = problem_type(error)
    body: dict[str, Any] = {
        "type": f"/problems/{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": error.detail,
        "instance": instance,
        "errors": [item.model_dump(mode="json") for item in error.errors],
    }
    return body | error.members
