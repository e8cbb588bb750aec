"""Idempotency-Key on POST: a repeat gets the first answer, and does nothing.

The answer is kept in the transaction of the effect itself, so both exist or neither. An answer that showed a secret
is remembered without its body: the repeat is told `secret-already-shown`. After
draft-ietf-httpapi-idempotency-key-header-07.
"""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from gatepost_api.auth import Caller, authenticate
from gatepost_api.db import Database
from gatepost_api.errors import BadRequest, InProgress, KeyReused, SecretAlreadyShown
from gatepost_api.tables import IdempotencyRow

HEADER = "Idempotency-Key"
MAX_KEY_CHARS = 255
KEPT_HEADERS = ("etag", "location", "content-type")


class Replayed(Exception):
    """Carries the first answer past the endpoint."""

    def __init__(self, response: Response) -> None:
        super().__init__("replayed")
        self.response = response


async def replay(_request: Request, error: Exception) -> Response:
    """The exception handler of `Replayed`."""
    if not isinstance(error, Replayed):
        raise error
    return error.response


class IdempotentCall(NamedTuple):
    """One POST with a key, of one token."""

    token_id: str
    key: str
    fingerprint: str


def show_secret(request: Request) -> None:
    """Say that this answer holds a secret: it is never kept, not here and not in a cache."""
    request.state.shows_secret = True


async def identify(request: Request, caller: Caller) -> IdempotentCall | None:
    """The call's identity, or None when it carries no key."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_CHARS:
        raise BadRequest(f"{HEADER} has 1 to {MAX_KEY_CHARS} characters.")
    what = f"{request.method}\n{request.url.path}\n{request.url.query}\n".encode()
    fingerprint = hashlib.sha256(what + await request.body()).hexdigest()
    return IdempotentCall(token_id=caller.token_id, key=key, fingerprint=fingerprint)


async def earlier_answer(database: Database, call: IdempotentCall) -> Response | None:
    """The first answer again, or None when this is the first call."""
    async with database.reading() as session:
        row = await session.get(IdempotencyRow, (call.token_id, call.key))
    if row is None:
        return None
    if row.fingerprint != call.fingerprint:
        raise KeyReused(f"{HEADER} {call.key!r} was used for another request. Use a new key.")
    if row.body is None:
        raise SecretAlreadyShown("This call was done and its answer held a secret. Create a new one instead.")
    return Response(
        content=row.body, status_code=row.status, headers=row.headers | {"Idempotency-Replayed": "true"}
    )


def keep_answer(session: AsyncSession, call: IdempotentCall, response: Response, *, secret: bool) -> None:
    """Add the answer to the transaction of its effect."""
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    session.add(
        IdempotencyRow(
            token_id=call.token_id,
            key=call.key,
            fingerprint=call.fingerprint,
            status=response.status_code,
            headers=headers,
            body=None if secret else bytes(response.body),
            created_at=datetime.now(UTC),
        )
    )


class CallsInProgress:
    """The calls that this process is working on: a second one meanwhile is told so, not queued."""

    def __init__(self) -> None:
        self._calls: set[tuple[str, str]] = set()

    def begin(self, call: IdempotentCall) -> None:
        if (call.token_id, call.key) in self._calls:
            raise InProgress(
                f"The call with {HEADER} {call.key!r} is still being worked on.", headers={"Retry-After": "1"}
            )
        self._calls.add((call.token_id, call.key))

    def end(self, call: IdempotentCall) -> None:
        self._calls.discard((call.token_id, call.key))


async def once(request: Request, caller: Annotated[Caller, Depends(authenticate)]) -> AsyncIterator[None]:
    """Around every POST of the user plane: answers a repeat, and lets a first call through alone."""
    call = await identify(request, caller) if request.method == "POST" else None
    if call is None:
        yield
        return
    calls: CallsInProgress = request.app.state.calls_in_progress
    calls.begin(call)
    try:
        earlier = await earlier_answer(request.app.state.database, call)
        if earlier is not None:
            raise Replayed(earlier)
        request.state.idempotent_call = call
        yield
    finally:
        calls.end(call)


Once = Depends(once, scope="function")  # ends after the session's commit
