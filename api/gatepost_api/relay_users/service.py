"""Relay users: created, changed and deleted past drafts; servers get the new users within the same transaction."""

import secrets
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.dialogue.rules.auth import verifier
from gatepost_api.audit.service import Target, record
from gatepost_api.auth import Caller, new_id
from gatepost_api.errors import Conflict, NameTaken, NotFound
from gatepost_api.etags import Precondition
from gatepost_api.fleet import tick
from gatepost_api.relay_users import repository
from gatepost_api.relay_users.handing_out import hand_out
from gatepost_api.relay_users.schemas import (
    RelayUserChanged,
    RelayUserIn,
    RelayUserOut,
    RelayUserPatch,
    RelayUserSecret,
)
from gatepost_api.revisions.service import Press
from gatepost_api.tables import RelayUserRow

MAX_USERS = 10_000
SECRET_BYTES = 16  # 22 characters: what a device's panel still takes
SALT_BYTES = 16


def shown(row: RelayUserRow) -> RelayUserOut:
    return RelayUserOut.model_validate(row)


def target(row: RelayUserRow) -> Target:
    return Target("relay-user", row.id, row.name)


async def get(session: AsyncSession, user_id: str) -> RelayUserRow:
    row = await session.get(RelayUserRow, user_id)
    if row is None:
        raise NotFound(f"There is no relay user {user_id!r}.")
    return row


async def create(press: Press, session: AsyncSession, caller: Caller, wanted: RelayUserIn) -> RelayUserSecret:
    """A new user and its secret. NameTaken, whatever the case: AUTH does not tell cases apart."""
    v = await tick(session, press.fleet)
    if await repository.named(session, wanted.name) is not None:
        raise NameTaken(
            f"A relay user named {wanted.name!r} exists. Choose another name, or delete that one."
        )
    if await repository.how_many(session) >= MAX_USERS:
        raise Conflict(f"There are {MAX_USERS} relay users. Delete some that are no longer used.")
    now = datetime.now(UTC)
    row = RelayUserRow(
        id=new_id("usr"),
        name=wanted.name,
        name_key=wanted.name.lower(),
        senders=list(wanted.senders),
        comment=wanted.comment,
        created_by=caller.name,
        created_at=now,
    )
    secret = _new_secret(row, now)
    session.add(row)
    servers = await hand_out(press, session, v, tested=True)
    record(session, caller, "create", target(row), after=_audited(row, servers))
    return RelayUserSecret(user=shown(row), changed_servers=servers, secret=secret)


async def edit(
    press: Press,
    session: AsyncSession,
    caller: Caller,
    user_id: str,
    *,
    match: Precondition,
    patch: RelayUserPatch,
) -> tuple[RelayUserRow, RelayUserChanged]:
    """Change senders or comment; the secret stays."""
    v = await tick(session, press.fleet)
    row = await _locked(session, user_id, match)
    before = shown(row)
    if "senders" in patch.model_fields_set:
        row.senders = list(patch.senders or ())
    if "comment" in patch.model_fields_set:
        row.comment = patch.comment or ""
    servers = await hand_out(press, session, v, tested=True)
    record(session, caller, "edit", target(row), before=before, after=_audited(row, servers))
    return row, RelayUserChanged(user=shown(row), changed_servers=servers)


async def rotate_secret(
    press: Press, session: AsyncSession, caller: Caller, user_id: str, match: Precondition | None
) -> RelayUserSecret:
    """A new secret; the old one ends on each server with its next bundle, in open sessions at the next MAIL.

    No published test can speak against it.
    """
    v = await tick(session, press.fleet)
    row = await _locked(session, user_id, match)
    before = shown(row)
    secret = _new_secret(row, datetime.now(UTC))
    servers = await hand_out(press, session, v, tested=False)
    record(session, caller, "rotate-secret", target(row), before=before, after=_audited(row, servers))
    return RelayUserSecret(user=shown(row), changed_servers=servers, secret=secret)


async def delete(
    press: Press, session: AsyncSession, caller: Caller, user_id: str, match: Precondition
) -> RelayUserChanged:
    """The user's rights end: in open sessions with the next MAIL after a server took its new bundle."""
    v = await tick(session, press.fleet)
    row = await _locked(session, user_id, match)
    before = shown(row)
    await session.delete(row)
    servers = await hand_out(press, session, v, tested=True)
    after = {"changed_servers": servers}
    record(session, caller, "delete", target(row), before=before, after=after)
    return RelayUserChanged(user=before, changed_servers=servers)


async def _locked(session: AsyncSession, user_id: str, match: Precondition | None) -> RelayUserRow:
    """The row as it is under the fleet clock's lock."""
    row = await get(session, user_id)
    if match is not None:
        match.check(row.version, f"The relay user {row.name!r}")
    return row


def _new_secret(row: RelayUserRow, now: datetime) -> str:
    """Give the row a new secret's verifier; the secret is kept nowhere."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    row.verifier = verifier(secrets.token_bytes(SALT_BYTES), secret.encode())
    row.secret_since = now
    return secret


def _audited(row: RelayUserRow, servers: list[str]) -> dict[str, object]:
    return shown(row).model_dump(mode="json") | {"changed_servers": servers}
