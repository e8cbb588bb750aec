"""Creating and revoking enrollment tokens; using one is `checkins/enrolling.py`."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.signing import PublicKey
from gatepost.tokens import enrollment_token
from gatepost_api.audit.service import Target, record
from gatepost_api.auth import Caller, digest_of, new_handle, new_secret
from gatepost_api.enrollment.schemas import CreatedEnrollmentToken, EnrollmentTokenIn, EnrollmentTokenOut
from gatepost_api.errors import NameTaken, NotFound
from gatepost_api.etags import Precondition
from gatepost_api.servers.repository import named_server
from gatepost_api.tables import EnrollmentToken


def shown(token: EnrollmentToken) -> EnrollmentTokenOut:
    return EnrollmentTokenOut.model_validate(token)


def target(token: EnrollmentToken) -> Target:
    return Target("enrollment-token", token.id, token.server_name or "")


async def create(
    session: AsyncSession, caller: Caller, key: PublicKey, wanted: EnrollmentTokenIn
) -> CreatedEnrollmentToken:
    """A new token; its text carries the beginning of the key's fingerprint, for the host to pin."""
    if wanted.name is not None and await named_server(session, wanted.name) is not None:
        raise NameTaken(f"A server named {wanted.name!r} exists. Retire it first, or choose another name.")
    handle = new_handle()
    text = enrollment_token(handle, new_secret(), key)
    now = datetime.now(UTC)
    token = EnrollmentToken(
        id=f"enr_{handle}",
        digest=digest_of(text),
        server_name=wanted.name,
        labels=wanted.labels,
        addresses=wanted.addresses,
        uses_left=wanted.uses,
        created_by=caller.name,
        created_at=now,
        expires_at=now + timedelta(seconds=wanted.ttl_s),
    )
    session.add(token)
    record(session, caller, "create", target(token), after=shown(token))
    return CreatedEnrollmentToken(
        id=token.id,
        name=token.server_name,
        labels=token.labels,
        addresses=token.addresses,
        uses_left=token.uses_left,
        expires_at=token.expires_at,
        token=text,
        fingerprint=key.fingerprint,
    )


async def get(session: AsyncSession, token_id: str) -> EnrollmentToken:
    token = await session.get(EnrollmentToken, token_id)
    if token is None:
        raise NotFound(f"There is no enrollment token {token_id!r}.")
    return token


async def revoke(
    session: AsyncSession, caller: Caller, token_id: str, match: Precondition
) -> EnrollmentToken:
    """No use is left from now on."""
    token = await get(session, token_id)
    match.check(token.version, "The enrollment token")
    before = shown(token)
    token.uses_left = 0
    token.expires_at = min(token.expires_at, datetime.now(UTC))
    await session.flush()
    record(session, caller, "revoke", target(token), before=before, after=shown(token))
    return token
