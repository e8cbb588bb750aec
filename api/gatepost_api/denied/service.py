"""Blocking: past drafts, publishing and rollouts, delivered with the next word to every agent."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.audit.service import Target, record
from gatepost_api.auth import Caller, new_id
from gatepost_api.denied import repository
from gatepost_api.denied.schemas import BlockIn, BlockOut
from gatepost_api.errors import Conflict, NotFound
from gatepost_api.etags import Precondition
from gatepost_api.fleet import Fleet, tick
from gatepost_api.tables import Denied

MAX_BLOCKS = 10_000
VERSION = 1  # a block is never edited


def shown(row: Denied) -> BlockOut:
    return BlockOut.model_validate(row)


async def block(session: AsyncSession, caller: Caller, fleet: Fleet, wanted: BlockIn) -> Denied:
    """Deny a range all service. What is blocked already stays as it is."""
    known = await repository.block_of(session, wanted.range)
    if known is not None:
        return known
    if await repository.how_many(session) >= MAX_BLOCKS:
        raise Conflict(f"{MAX_BLOCKS} ranges are blocked. Lift some, or block a network that holds them.")
    await tick(session, fleet, denied=True)
    row = Denied(
        id=new_id("blk"),
        address_range=wanted.range,
        scope="no_service",
        reason=wanted.reason,
        created_by=caller.name,
        created_at=datetime.now(UTC),
    )
    session.add(row)
    await session.flush()
    record(session, caller, "block", _target(row), after=shown(row), reason=wanted.reason)
    return row


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
    await tick(session, fleet, denied=True)
    before = shown(row)
    await session.delete(row)
    record(session, caller, "unblock", _target(row), before=before, reason=reason)
    return before


def _target(row: Denied) -> Target:
    return Target("block", row.id, row.address_range)
