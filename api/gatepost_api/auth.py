"""Who calls: bearer tokens, roles, and the dependencies that put both into an endpoint's signature.

A token is `gp_<kind>_<id>_<43 characters>_<crc>`: 256 random bits, so a plain SHA-256 is kept at rest; prefix
and checksum let secret scanners find a leaked one.
"""

import hashlib
import hmac
import secrets
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated, NamedTuple

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.db import Database
from gatepost_api.errors import NotAllowed, NotAuthenticated
from gatepost_api.tables import ApiToken

MAX_TOKEN_CHARS = 200
ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
bearer = HTTPBearer(auto_error=False, description="An API token of `gatepost-api token create`")


class Role(IntEnum):
    """Each role may what the one before it may."""

    viewer = 1
    operator = 2
    admin = 3


class IssuedToken(NamedTuple):
    """A new token: `text` is shown once, `id` and `digest` are kept."""

    id: str
    text: str
    digest: str


class Caller(NamedTuple):
    """Who acts, for permission checks and the audit trail."""

    token_id: str
    name: str
    role: Role
    remote: str
    request_id: str
    reason: str


def new_handle() -> str:
    """80 random bits in letters and digits that are not mistaken for each other."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(16))


def new_id(prefix: str) -> str:
    """An opaque id such as `con_8k2m…`, without meaning."""
    return f"{prefix}_{new_handle()}"


def new_secret() -> str:
    """256 random bits as 43 characters of base64url."""
    return secrets.token_urlsafe(32)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def issue(kind: str) -> IssuedToken:
    """A new token of a kind: `api` for people and pipelines, `agt` for agents."""
    handle = new_handle()
    stem = f"gp_{kind}_{handle}_{new_secret()}"
    text = f"{stem}_{_checksum(stem)}"
    return IssuedToken(id=f"{kind}_{handle}", text=text, digest=digest_of(text))


def token_id(text: str, kind: str) -> str | None:
    """The id inside a well-formed token of that kind, else None; says nothing about its validity."""
    if len(text) > MAX_TOKEN_CHARS or not text.startswith(f"gp_{kind}_") or not text.isascii():
        return None
    stem, _, checksum = text.rpartition("_")
    if not hmac.compare_digest(_checksum(stem), checksum):
        return None
    return f"{kind}_{text.split('_', 3)[2]}"


def proves(text: str, digest: str) -> bool:
    """Whether the token is the one whose digest is kept; constant time."""
    return hmac.compare_digest(digest_of(text), digest)


def remote_address(request: Request) -> str:
    return request.client.host if request.client else "local"


async def find_api_token(session: AsyncSession, text: str, now: datetime) -> ApiToken | None:
    """The live token that the text proves, or None."""
    handle = token_id(text, "api")
    found = await session.get(ApiToken, handle) if handle else None
    if found is None or not proves(text, found.digest) or found.revoked_at is not None:
        return None
    return None if found.expires_at is not None and found.expires_at <= now else found


async def authenticate(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    reason: Annotated[
        str, Header(alias="X-Reason", max_length=1000, description="Why; kept in the audit trail")
    ] = "",
) -> Caller:
    """The caller of the user plane; NotAuthenticated without a live API token."""
    database: Database = request.app.state.database
    found = None
    if credentials is not None:
        async with database.reading() as session:
            found = await find_api_token(session, credentials.credentials, datetime.now(UTC))
    if found is None:
        raise NotAuthenticated(
            "Send `Authorization: Bearer gp_api_…` with a token that is neither expired nor revoked.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return Caller(
        token_id=found.id,
        name=found.name,
        role=Role[found.role],
        remote=remote_address(request),
        request_id=request.scope.get("request_id", ""),
        reason=reason,
    )


def _at_least(role: Role) -> Callable[[Caller], Awaitable[Caller]]:
    async def check(caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
        require(caller, role)
        return caller

    return check


def require(caller: Caller, role: Role, why: str = "") -> None:
    """NotAllowed unless the caller has that role; `why` says what made a higher one necessary."""
    if caller.role < role:
        has = f"the token {caller.name!r} is {caller.role.name}"
        raise NotAllowed(f"This takes the role {role.name}; {has}. {why}".rstrip())


Viewer = Annotated[Caller, Depends(_at_least(Role.viewer))]
Operator = Annotated[Caller, Depends(_at_least(Role.operator))]
Admin = Annotated[Caller, Depends(_at_least(Role.admin))]
