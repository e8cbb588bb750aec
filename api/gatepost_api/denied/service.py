"""Blocking: past drafts, publishing and rollouts, delivered with the next word to every agent."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.audit.service import Target, record
from gatepost_api.auth import Caller, new_id
from gatepost_api.denied import repository
from gatepost_api.denied.schemas import BlockIn, BlockOut, OverwriteIn
from gatepost_api.errors import Conflict, DeniedSetHeld, NotFound
from gatepost_api.etags import Precondition
from gatepost_api.fleet import Fleet, tick
from gatepost_api.tables import Denied

MAX_BLOCKS = 10_000
VERSION = 1  # a block is never edited
HELD = (
    "Servers deny more than this control plane knows: it was restored from a backup, and what it would send them now "
    "would lift what was blocked since. They have the condition DeniedSetAhead, and their list is denied-fleet.json in "
    "the host's state folder. An admin says what shall be blocked, with `gatepost overwrite-blocked RANGE…`; until "
    "then `gatepost-agent deny` blocks on one host."
)
FLEET = Target("denied set", "fleet", "denied set")


def shown(row: Denied) -> BlockOut:
    return BlockOut.model_validate(row)


async def block(session: AsyncSession, caller: Caller, fleet: Fleet, wanted: BlockIn) -> Denied:
    """Deny a range all service. What is blocked already stays as it is. DeniedSetHeld: see `overwrite`."""
    await _refuse_held(session)
    known = await repository.block_of(session, wanted.range)
    if known is not None:
        return known
    await _refuse_too_many(session, 1)
    await tick(session, fleet, denied=True)
    row = _added(session, caller, wanted.range, wanted.reason)
    await session.flush()
    return row


async def overwrite(
    session: AsyncSession, caller: Caller, fleet: Fleet, wanted: OverwriteIn
) -> Sequence[Denied]:
    """Choose what is blocked when servers know more than a restored control plane: what it has, and these ranges.

    Every server gets that, at once and in one piece. Conflict when there is nothing to choose.
    """
    if not await repository.is_held(session):
        raise Conflict("No server denies more than this control plane knows. Use block and unblock.")
    new = [one for one in dict.fromkeys(wanted.ranges) if await repository.block_of(session, one) is None]
    await _refuse_too_many(session, len(new))
    await tick(session, fleet, denied=True)
    rows = [_added(session, caller, one, wanted.reason) for one in new]
    record(session, caller, "overwrite", FLEET, after={"ranges": new}, reason=wanted.reason)
    await session.flush()
    return rows


def _added(session: AsyncSession, caller: Caller, address_range: str, reason: str) -> Denied:
    row = Denied(
        id=new_id("blk"),
        address_range=address_range,
        scope="no_service",
        reason=reason,
        created_by=caller.name,
        created_at=datetime.now(UTC),
    )
    session.add(row)
    record(session, caller, "block", _target(row), after=shown(row), reason=reason)
    return row


async def _refuse_held(session: AsyncSession) -> None:
    if await repository.is_held(session):
        raise DeniedSetHeld(HELD)


async def _refuse_too_many(session: AsyncSession, more: int) -> None:
    if await repository.how_many(session) + more > MAX_BLOCKS:
        raise Conflict(f"{MAX_BLOCKS} ranges are blocked. Lift some, or block a network that holds them.")


async def get(session: AsyncSession, block_id: str) -> Denied:
    row = await session.get(Denied, block_id)
    if row is None:
        raise NotFound(f"There is no block {block_id!r}.")
    return row


async def unblock(
    session: AsyncSession, caller: Caller, fleet: Fleet, block_id: str, *, match: Precondition, reason: str
) -> BlockOut:
    """Lift a block: an audited act of its own, since it widens."""
    row = await get(session, block_id)
    match.check(VERSION, "The block")
    await _refuse_held(session)
    await tick(session, fleet, denied=True)
    before = shown(row)
    await session.delete(row)
    record(session, caller, "unblock", _target(row), before=before, reason=reason)
    return before


def _target(row: Denied) -> Target:
    return Target("block", row.id, row.address_range)
