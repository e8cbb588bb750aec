"""Pieces on the wire. They were checked when they were stored, so they are not checked again on the way out."""

import json
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from gatepost_api.draft import pieces, repository
from gatepost_api.etags import set_etag
from gatepost_api.pages import Asked
from gatepost_api.tables import DraftObject


def json_of(row: DraftObject, status: int = 200) -> Response:
    """One piece with its ETag."""
    response = Response(_dumped(pieces.shown(row)), status_code=status, media_type="application/json")
    set_etag(response, row.version)
    return response


async def list_pieces(session: AsyncSession, asked: Asked, kind: str, name: str | None) -> Response:
    """A page of pieces, with the Link header that the page set."""
    rows = await repository.page_of_pieces(session, kind, asked.after, asked.limit + 1, name=name)
    page = asked.page(rows, lambda row: row.id)
    body = {"items": [pieces.shown(row) for row in page.items], "next_cursor": page.next_cursor}
    headers = {"Link": asked.response.headers["Link"]} if "Link" in asked.response.headers else {}
    return Response(_dumped(body), media_type="application/json", headers=headers)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
