"""One attempt at one message: routes, batches, next hops in order, an outcome for each recipient."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple

from gatepost.policy.dialogue.routing import Hop, NoRoute
from gatepost_agent.delivery.content import has_utf8_header
from gatepost_agent.delivery.envelope import same_for_all
from gatepost_agent.delivery.errors import HopFailed, NoSuchDomain
from gatepost_agent.delivery.job import Attempt, Job, Peer
from gatepost_agent.delivery.lane import Resting
from gatepost_agent.delivery.pool import Pool
from gatepost_agent.delivery.routing import Routing
from gatepost_agent.delivery.turns import Turns
from gatepost_agent.mail_events import mail_events
from gatepost_agent.spool.errors import DamagedBody, SpoolClosed, SpoolError
from gatepost_agent.spool.messages import QueuedMessage, Result

INTERNAL = "internal error in delivery"
BATCH = 100  # recipients of one transaction: what every server must take (RFC 5321 4.5.3.1.8)


class Attempted(NamedTuple):
    """`attempts` for recipients that were tried; `resting` for those that were not, `rests_until` on the pool's clock.

    expire_after_s: the shortest expiration_timeout of the send connectors involved, None without a route.
    """

    attempts: list[Attempt]
    resting: list[Attempt]
    rests_until: float | None
    expire_after_s: float | None


class _Batch(NamedTuple):
    hops: tuple[Hop, ...]
    recipients: tuple[str, ...]


async def attempt_message(
    message: QueuedMessage,
    *,
    routing: Routing,
    pool: Pool,
    body: Callable[[QueuedMessage], AsyncGenerator[bytes, None]],
    turns: Turns,
) -> Attempted:
    """Try every pending recipient once. Raises SpoolClosed."""
    batches, attempts = _batches(message, routing, turns)
    tries = [_try_batch(message, batch, routing, pool, body) for batch in batches]
    # The usual message has one batch, and is spared a second task.
    results = await asyncio.gather(*tries) if len(tries) != 1 else [await tries[0]]
    resting: list[Attempt] = []
    until: float | None = None
    for batch, result in zip(batches, results, strict=True):
        if isinstance(result, Resting):
            until = result.until if until is None else min(until, result.until)
            peer = Peer(hop=str(batch.hops[0]))
            resting += same_for_all(batch.recipients, Result.NOT_NOW, result.status, str(result), peer)
        else:
            attempts += result
    exits = [routing.exits[hop.connector] for batch in batches for hop in batch.hops]
    return Attempted(
        attempts=attempts,
        resting=resting,
        rests_until=until,
        expire_after_s=min((exit_.expire_after_s for exit_ in exits), default=None),
    )


def _batches(message: QueuedMessage, routing: Routing, turns: Turns) -> tuple[list[_Batch], list[Attempt]]:
    by_route: dict[tuple[tuple[Hop, ...], bool], list[str]] = {}
    unrouted: list[Attempt] = []
    for recipient in message.pending:
        route = routing.find(recipient)
        if isinstance(route, NoRoute):
            # Not now, not never: a send connector may be on its way, and an operator should see it in the queue.
            unrouted += same_for_all((recipient,), Result.NOT_NOW, "4.4.4", route.reason, Peer(hop=""))
        else:
            # Apart, so that a next hop without SMTPUTF8, which can take only the others, does take them.
            is_ascii = recipient.rpartition("@")[0].isascii()
            by_route.setdefault((route.hops, is_ascii), []).append(recipient)
    return [
        batch for (hops, _), recipients in by_route.items() for batch in _cut(turns.ordered(hops), recipients)
    ], unrouted


def _cut(hops: tuple[Hop, ...], recipients: list[str]) -> list[_Batch]:
    starts = range(0, len(recipients), BATCH)
    return [_Batch(hops, tuple(recipients[start : start + BATCH])) for start in starts]


async def _try_batch(
    message: QueuedMessage,
    batch: _Batch,
    routing: Routing,
    pool: Pool,
    body: Callable[[QueuedMessage], AsyncGenerator[bytes, None]],
) -> list[Attempt] | Resting:
    """As `_try_hops`; what goes wrong on our side ends here, so that no other batch loses its outcome."""
    try:
        return await _try_hops(message, batch, routing, pool, body)
    except SpoolClosed:
        raise
    except DamagedBody as error:
        return same_for_all(batch.recipients, Result.NEVER, "5.3.0", str(error), Peer(hop=""))
    except SpoolError as error:
        return same_for_all(batch.recipients, Result.NOT_NOW, "4.3.0", str(error), Peer(hop=""))
    except Exception as error:  # noqa: BLE001 - told, and tried again later
        mail_events.error("delivery_failed", queue_id=message.id, exc_info=error)
        return same_for_all(batch.recipients, Result.NOT_NOW, "4.3.0", INTERNAL, Peer(hop=""))


async def _try_hops(
    message: QueuedMessage,
    batch: _Batch,
    routing: Routing,
    pool: Pool,
    body: Callable[[QueuedMessage], AsyncGenerator[bytes, None]],
) -> list[Attempt] | Resting:
    """Next hops in order until one decides. Resting when none of them was tried."""
    failed: HopFailed | None = None
    resting: Resting | None = None
    hop = batch.hops[0]
    for hop in batch.hops:
        try:
            job = Job(
                message,
                batch.recipients,
                lambda: body(message),
                asyncio.get_running_loop().create_future(),
                utf8_header=message.envelope.smtp_utf8 and await has_utf8_header(body(message)),
            )
            pool.submit(routing.exits[hop.connector], hop, job)
            return await job.done
        except Resting as rest:
            resting = rest if resting is None or rest.until < resting.until else resting
        except HopFailed as error:
            failed = error
        except NoSuchDomain as error:
            return same_for_all(batch.recipients, Result.NEVER, error.status, str(error), Peer(hop=str(hop)))
    if failed is None and resting is not None:
        return resting
    status = failed.status if failed else "4.4.1"
    return same_for_all(batch.recipients, Result.NOT_NOW, status, str(failed), Peer(hop=str(hop)))
