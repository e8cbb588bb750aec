"""`Prefer: wait`: nothing that happens while somebody looks is missed."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge

from gatepost_api.checkins.parking import Parking
from gatepost_api.db import Database
from gatepost_api.fleet import Fleet
from gatepost_api.waiting import converged

pytestmark = pytest.mark.anyio


def fleet(folder: Path) -> Fleet:
    """One that knows nothing; its database is never opened."""
    parking = Parking(1000, Gauge("parked", "", registry=CollectorRegistry()))
    return Fleet(Database(f"sqlite:///{folder / 'none.db'}"), parking)


async def test_what_is_announced_while_somebody_looks_is_looked_at_again(tmp_path: Path) -> None:
    known = fleet(tmp_path)
    seen: list[int] = []

    async def look() -> int:
        seen.append(len(seen))
        if len(seen) == 1:
            known.announce()  # after what was read, and before the wait for the next
        return seen[-1]

    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await converged(look, lambda found: found == 1, known, 50) == 1
    assert loop.time() - began < 2


async def test_the_present_state_is_the_answer_when_the_time_is_over(tmp_path: Path) -> None:
    async def look() -> str:
        return "progressing"

    assert await converged(look, lambda _: False, fleet(tmp_path), 0.01) == "progressing"
