"""A rollout is read off the assignments: there is no second state that could disagree with them."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.revisions import repository as revisions
from gatepost_api.revisions import service as published
from gatepost_api.rollouts import repository
from gatepost_api.rollouts.repository import Late
from gatepost_api.rollouts.schemas import Failure, RolloutOut

DONE = ("running", "settled")
FAILED = ("rejected", "rolled_back", "blocked", "held")
NAMED = 100


async def rollout(session: AsyncSession, number: int, offline_after_s: int) -> RolloutOut:
    """How the revision is getting on. NotFound for a revision that there is not."""
    await published.get(session, number)
    latest = await revisions.latest(session)
    states = await repository.states(session, number)
    late = await repository.servers_not_in(session, number, DONE, NAMED)
    waiting = [one for one in late if one.state not in FAILED]
    return RolloutOut(
        revision=number,
        state=_state(states, superseded=latest is not None and latest.number != number),
        servers=states,
        waiting_for=[one.server for one in waiting],
        unreachable=[one.server for one in waiting if _is_unreachable(one, offline_after_s)],
        failures=[
            Failure(server_id=one.server_id, server=one.server, state=one.state, reason=one.reason)
            for one in late
            if one.state in FAILED
        ],
    )


def _state(states: dict[str, int], *, superseded: bool) -> str:
    if superseded:
        return "superseded"
    if any(state in states for state in FAILED):
        return "failed"
    return "succeeded" if all(state in DONE for state in states) else "progressing"


def _is_unreachable(late: Late, offline_after_s: int) -> bool:
    return late.said_goodbye or datetime.now(UTC) - late.last_seen > timedelta(seconds=offline_after_s)
