"""Creating and revoking API tokens; also called by `gatepost-api token`."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.audit.service import Target, record
from gatepost_api.auth import Caller, issue
from gatepost_api.errors import NameTaken, NotFound
from gatepost_api.etags import Precondition
from gatepost_api.tables import ApiToken
from gatepost_api.tokens.repository import live_token_named
from gatepost_api.tokens.schemas import ApiTokenIn, ApiTokenOut, CreatedApiToken


def shown(token: ApiToken) -> ApiTokenOut:
    return ApiTokenOut.model_validate(token)


def target(token: ApiToken) -> Target:
    return Target("api-token", token.id, token.name)


async def create(session: AsyncSession, caller: Caller, wanted: ApiTokenIn) -> CreatedApiToken:
    """A new token. NameTaken while a live one has the name: the audit trail must not be ambiguous."""
    if await live_token_named(session, wanted.name) is not None:
        raise NameTaken(f"A token named {wanted.name!r} exists. Revoke it, or choose another name.")
    now = datetime.now(UTC)
    secret = issue("api")
    lifetime = None if wanted.expires_in_s is None else timedelta(seconds=wanted.expires_in_s)
    token = ApiToken(
        id=secret.id,
        name=wanted.name,
        role=wanted.role,
        digest=secret.digest,
        created_by=caller.name,
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
        revoked_at=None,
    )
    session.add(token)
    out = shown(token)
    record(session, caller, "create", target(token), after=out)
    return CreatedApiToken(**out.model_dump(), token=secret.text)


async def get(session: AsyncSession, token_id: str) -> ApiToken:
    token = await session.get(ApiToken, token_id)
    if token is None:
        raise NotFound(f"There is no API token {token_id!r}.")
    return token


async def revoke(
    session: AsyncSession, caller: Caller, token_id: str, match: Precondition | None
) -> ApiToken:
    """End a token at once; revoking twice changes nothing."""
    token = await get(session, token_id)
    if match is not None:
        match.check(token.version, f"The token {token.name!r}")
    if token.revoked_at is None:
        before = shown(token)
        token.revoked_at = datetime.now(UTC)
        await session.flush()
        record(session, caller, "revoke", target(token), before=before, after=shown(token))
    return token
