"""What can go wrong between a client and the control plane: one tree."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class ClientError(Exception):
    """Base of the tree; the text is for people and never holds a token."""


class RefusedUrl(ClientError, ValueError):
    """An address, token or CA file that is not used; the text says what to give instead."""


class Unreachable(ClientError):
    """No usable answer: network trouble, a timeout, or a proxy that found nobody behind it."""


class FieldError(NamedTuple):
    """One fault in a request. pointer: RFC 6901 into the body, or `#query/…` and the like."""

    pointer: str
    type: str
    detail: str
    value: Any = None
    remedy: str | None = None


class ApiProblem(ClientError):
    """The control plane said no. RFC 9457.

    type: the last part of the problem's URI (`refused-by-policy`); request_id finds the control plane's log line;
    members: what the problem carries beyond the standard members, such as `findings`.
    """

    def __init__(
        self,
        status: int,
        type: str,  # noqa: A002 - RFC 9457's word
        title: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        request_id: str = "",
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail or title)
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.request_id = request_id
        self.members = dict(members or {})

    def as_json(self) -> dict[str, Any]:
        """The problem as a script reads it."""
        return {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": self.request_id,
            "errors": [error._asdict() for error in self.errors],
            **self.members,
        }


_STANDARD = frozenset({"type", "title", "status", "detail", "instance", "errors"})


def problem_of(status: int, body: object, reason: str) -> ApiProblem:
    """The problem in an answer's JSON body; `reason` names it when the body is none of the control plane's."""
    if not isinstance(body, Mapping) or "title" not in body:
        return ApiProblem(status, "about:blank", reason, f"The answer was {status} {reason}.")
    return ApiProblem(
        status,
        str(body.get("type", "about:blank")).rpartition("/")[2],
        str(body["title"]),
        str(body.get("detail", "")),
        errors=_field_errors(body.get("errors")),
        request_id=str(body.get("instance", "")),
        members={name: value for name, value in body.items() if name not in _STANDARD},
    )


def _field_errors(listed: object) -> list[FieldError]:
    rows = listed if isinstance(listed, list) else []
    return [
        FieldError(
            pointer=str(row.get("pointer", "")),
            type=str(row.get("type", "")),
            detail=str(row.get("detail", "")),
            value=row.get("value"),
            remedy=row.get("remedy"),
        )
        for row in rows
        if isinstance(row, Mapping)
    ]
