"""Listings: opaque cursors bound to their filters, a limit, and `Link: rel="next"` (RFC 8288)."""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, NamedTuple, TypeVar

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel

from gatepost_api.errors import BadCursor

Item = TypeVar("Item")
Shown = TypeVar("Shown")
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_DIGITS = 18
NOT_FILTERS = frozenset({"cursor", "limit"})


class Page(BaseModel, Generic[Item]):
    """Part of a listing, in a stable order; `next_cursor` is null on the last page."""

    items: list[Item]
    next_cursor: str | None = None


class Asked(NamedTuple):
    """Which page is asked for: `after` is the sort key of the last item seen."""

    limit: int
    after: str | None
    filters: str
    request: Request
    response: Response

    @property
    def after_number(self) -> int | None:
        """The sort key as a number. BadCursor when it is none, or none that a database holds."""
        if self.after is None:
            return None
        if not (self.after.isascii() and self.after.isdigit() and len(self.after) <= MAX_DIGITS):
            raise BadCursor("The cursor is not one of ours; begin again without it.")
        return int(self.after)

    def page(self, rows: Sequence[Item], key: Callable[[Item], str | int]) -> Page[Item]:
        """The page of `rows`, of which up to limit + 1 were read to see whether more follow."""
        if len(rows) <= self.limit:
            return Page(items=list(rows))
        kept = rows[: self.limit]
        cursor = _pack(self.filters, str(key(kept[-1])))
        following = self.request.url.include_query_params(cursor=cursor)
        self.response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
        return Page(items=list(kept), next_cursor=cursor)


def shown_as(page: Page[Item], show: Callable[[Item], Shown]) -> Page[Shown]:
    """The same page with each row in its public shape."""
    return Page(items=[show(item) for item in page.items], next_cursor=page.next_cursor)


def _filter_hash(request: Request) -> str:
    pairs = sorted(
        (name, value) for name, value in request.query_params.multi_items() if name not in NOT_FILTERS
    )
    return hashlib.sha256(json.dumps([request.url.path, pairs]).encode()).hexdigest()[:16]


def _pack(filters: str, after: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([filters, after]).encode()).decode().rstrip("=")


def _unpack(cursor: str) -> tuple[str, str]:
    try:
        filters, after = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError) as error:
        raise BadCursor("The cursor is not one of ours; begin again without it.") from error
    if not isinstance(filters, str) or not isinstance(after, str):
        raise BadCursor("The cursor is not one of ours; begin again without it.")
    return filters, after


async def asked_page(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items per page")] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None, Query(max_length=500, description="`next_cursor` of the page before")
    ] = None,
) -> Asked:
    filters = _filter_hash(request)
    after = None
    if cursor is not None:
        given, after = _unpack(cursor)
        if given != filters:
            raise BadCursor("The filters changed between two pages; begin again without the cursor.")
    return Asked(limit=limit, after=after, filters=filters, request=request, response=response)


AskedPage = Annotated[Asked, Depends(asked_page)]
