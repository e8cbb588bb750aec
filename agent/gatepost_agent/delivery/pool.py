"""All next hops: lanes made as they are needed, forgotten when nothing is left to remember, bounded in sum."""

import asyncio
import random
from collections.abc import Callable
from functools import partial

from gatepost.policy.dialogue.routing import Hop
from gatepost_agent.delivery.exits import Exit
from gatepost_agent.delivery.job import Job
from gatepost_agent.delivery.lane import CROWDED_S, Lane, Resting, Surroundings
from gatepost_agent.delivery.opening import open_session
from gatepost_agent.delivery.session import Session
from gatepost_agent.delivery.targets import Finder

MOST_CONNECTIONS = 200  # in all: file descriptors are shared with the listeners
MOST_LANES = 5_000


class Pool:
    """Jobs in, by next hop. `stop` it."""

    def __init__(
        self,
        finder: Finder,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float] = random.random,
        most_connections: int = MOST_CONNECTIONS,
    ) -> None:
        """`clock` is monotonic, in seconds; `chance` gives 0 to 1."""
        self.finder = finder
        self.clock = clock
        self._chance = chance
        self._most = most_connections
        self._stopped = False
        self._lanes: dict[tuple[Exit, Hop], Lane] = {}

    @property
    def connections(self) -> int:
        """Connections open or being opened."""
        return sum(lane.connections for lane in self._lanes.values())

    def resting(self) -> dict[str, str]:
        """For health: next hops that are not tried for the moment, and why."""
        lanes = ((lane.name, lane.resting) for lane in self._lanes.values())
        return {name: why for name, why in lanes if why is not None}

    def why_resting(self, exit_: Exit, hop: Hop) -> str:
        """Why a next hop is not tried for the moment; "" when it may be."""
        lane = self._lanes.get((exit_, hop))
        return (lane.resting if lane else None) or ""

    def end_rests(self, before: float) -> None:
        """Let next hops be tried again that rest for a failure before that time on the pool's clock."""
        for lane in self._lanes.values():
            lane.end_rest(before)

    def submit(self, exit_: Exit, hop: Hop, job: Job) -> None:
        """Hand a job to a next hop. Raises Resting when that one cannot take it now; job.done tells the rest."""
        if self._stopped:
            raise Resting("delivery stops", self.clock())
        lane = self._lanes.get((exit_, hop)) or self._make(exit_, hop)
        lane.submit(job)

    async def stop(self) -> None:
        """End all connections; from now on nothing is taken."""
        self._stopped = True
        await asyncio.gather(*(lane.stop() for lane in self._lanes.values()))

    def _make(self, exit_: Exit, hop: Hop) -> Lane:
        if len(self._lanes) >= MOST_LANES:
            self._lanes = {key: lane for key, lane in self._lanes.items() if not lane.forgettable}
            if len(self._lanes) >= MOST_LANES:
                raise Resting("not tried: too many next hops at once", self.clock() + CROWDED_S)
        around = Surroundings(
            open=partial(self._open, exit_, hop),
            clock=self.clock,
            chance=self._chance,
            room=self._room,
            ended=self._ended,
        )
        lane = self._lanes[(exit_, hop)] = Lane(str(hop), exit_, around)
        return lane

    async def _open(self, exit_: Exit, hop: Hop) -> Session:
        targets = await self.finder.find(hop, allow_private=exit_.connector.allow_private)
        return await open_session(exit_, str(hop), targets)

    def _room(self) -> bool:
        """Whether one more connection may be opened; if not, an idle one elsewhere is closed to make room."""
        if self.connections < self._most:
            return True
        for lane in self._lanes.values():
            if lane.shed():
                break
        return False

    def _ended(self) -> None:
        """A connection ended: lanes that found no room may try again."""
        for lane in tuple(self._lanes.values()):
            if lane.starved:
                lane.wake()
                return
