"""How a config comes to run: verify, prepare, stage, persist, listen, swap, probation, settle or return.

Before `state.json` is renamed the old config runs after a crash; after it, the agent goes back to the last good one
and says so. The steps run one at a time under `_turn`; a newer offer ends the probation of the one before.
"""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from gatepost.policy.dialogue.compiled import Policy
from gatepost.signing import PublicKey, Signed
from gatepost.wire import Attempt, AttemptError, Offer, Outcome, Phase, Running
from gatepost_agent.control.clock import SteadyClock
from gatepost_agent.control.denied import Denials
from gatepost_agent.control.doors import Doors
from gatepost_agent.control.exposed import narrowed
from gatepost_agent.control.faults import Fault, no_fault
from gatepost_agent.control.guard import Guard
from gatepost_agent.control.prepare import Config, compiled, prepare, restore
from gatepost_agent.control.store import ConfigFile, State, Store
from gatepost_agent.control.threads import whole
from gatepost_agent.control.verify import Rejected, claimed, open_bundle, open_offer, rejected
from gatepost_agent.current import Current
from gatepost_agent.errors import StateRefused

log = logging.getLogger(__name__)

MAX_STARTS = 3
SAVE_AGAIN_S = 5.0


class Surroundings(NamedTuple):
    """What an apply needs of the agent.

    keys: those that may sign now. check: that the host has the files a config names; raises Rejected. fetch: a bundle
    by digest; raises LinkError. prove: the self test; returns what is wrong, or nothing. changed: called whenever
    what is reported changes. swapped: called with what runs from now on.
    """

    server_id: str
    store: Store
    current: Current
    doors: Doors
    denials: Denials
    clock: SteadyClock
    guard: Guard
    keys: Callable[[], tuple[PublicKey, ...]]
    check: Callable[[Config], None]
    fetch: Callable[[str], Awaitable[Signed]]
    prove: Callable[[Config, float], Awaitable[str]]
    changed: Callable[[], None]
    swapped: Callable[[Policy | None], None]
    fault: Fault = no_fault


class Applier:
    """Holds what runs and how the last attempt ended."""

    def __init__(self, around: Surroundings, tasks: asyncio.TaskGroup) -> None:
        self._around = around
        self._tasks = tasks
        self._turn = asyncio.Lock()
        self._before: Config | None = None  # what to go back to while `config` is in probation
        self._probation: asyncio.Task[None] | None = None
        self.config: Config | None = None
        self.attempt: Attempt | None = around.store.state.attempt
        self.stored = True  # whether the disk knows what `running` and `attempt` say

    @property
    def running(self) -> Running | None:
        """What the listeners hold now."""
        if self.config is None:
            return None
        offer = self.config.offer
        settled = self._around.store.state.standing == "settled"
        return Running(
            generation=offer.generation, revision=offer.revision, digest=offer.digest, settled=settled
        )

    # --- start and stop ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Run what the disk says, before anybody is dialled. A disk that takes nothing more is no reason not to."""
        state = self._around.store.state
        fresh = state.clean_stop or (not state.last_good and state.starts < MAX_STARTS)
        if state.standing == "settled":
            await self._resume(state.current)
        elif fresh and await self._resume(state.current):
            self._save(state.model_copy(update={"starts": state.starts + 1, "clean_stop": False}))
            self._before = self._restored(state.last_good)
            self._begin_probation()
        else:
            await self._return("crash", "the agent ended while this config was in probation")

    async def stop(self) -> None:
        """End the probation, and say on disk that this is no crash."""
        self._end_probation()
        async with self._turn:  # an apply that was cut short has left the disk as it will stay
            state = self._around.store.state
            if state.standing == "probation" and not state.clean_stop:
                self._save(state.model_copy(update={"clean_stop": True}))

    async def _resume(self, name: str) -> bool:
        config = self._restored(name)
        if config is None:
            return False
        self._swap(config)
        self._around.denials.keep(self._around.store.state.denied if self._settled else ())
        await self._around.doors.open(config.policy.bindings)
        return True

    def _restored(self, name: str) -> Config | None:
        if not name:
            return None
        try:
            kept = self._around.store.load(name)
            return restore(kept.offer, kept.content, self._around.guard, self._around.clock.now())
        except (StateRefused, Rejected) as error:
            log.error("the config %s on disk cannot run: %s", name, error)
            return None

    @property
    def _settled(self) -> bool:
        return self._around.store.state.standing == "settled"

    # --- a new config --------------------------------------------------------------------------------------

    async def apply(self, signed: Signed, inline: Signed | None) -> bool:
        """Take up an offer; False when it is nothing new. What comes of it shows in `running` and `attempt`.

        Raises LinkError when the bundle could not be fetched: then nothing has been tried.
        """
        around = self._around
        try:
            offer = open_offer(signed, around.keys(), around.server_id, around.store.state.floor)
        except Rejected as refused:
            return self._refuse_unverified(signed, refused)
        if self._is_known(offer):
            return False
        file = ConfigFile(offer=signed, bundle=inline or await around.fetch(offer.digest))
        async with self._turn:
            self._note(offer, "applying")
            try:
                await self._bring_up(offer, file)
            except Rejected as refused:
                self._reject(offer, refused)
            except Exception as error:
                log.exception("generation %s cannot be applied", offer.generation)
                self._reject(offer, rejected("parse", "internal", f"{type(error).__name__}: {error}"))
            return True

    def _is_known(self, offer: Offer) -> bool:
        """Running already, or tried and failed: a failed generation is not tried again."""
        if self.config is not None and self.config.offer == offer:
            return True
        state = self._around.store.state
        return any(  # what the disk remembers counts too: an unverified offer may have come since
            ended.generation == offer.generation == state.floor
            for ended in (self.attempt, state.attempt)
            if ended is not None and ended.outcome in ("rejected", "rolled_back")
        )

    async def _bring_up(self, offer: Offer, file: ConfigFile) -> None:
        around = self._around
        content = open_bundle(file.bundle, offer, around.keys())
        around.fault("verified")
        config = await asyncio.to_thread(prepare, offer, content, around.guard, around.clock.now())
        await asyncio.to_thread(around.check, config)
        trying = await asyncio.to_thread(self._state_to_try, config)
        around.fault("prepared")
        staged = await around.doors.stage(config.policy.bindings, config.place)
        around.fault("staged")
        before = around.store.state
        try:
            await whole(self._persist, trying, offer, file)
        except OSError as error:
            await staged.abandon()
            raise rejected("persist", "not-stored", error, retryable=True) from error
        try:
            await around.doors.commit(staged, config.policy.bindings, config.place)
        except Exception:  # whatever it was, the next start must not run what did not come to run
            self._save(before)
            raise
        around.fault("listening")
        self._end_probation()
        self._before = self._last_good(before)
        self._swap(config)
        around.denials.keep(())
        self._note(offer, "applied")
        where = ", ".join(around.doors.addresses()) or "nothing"
        log.info(
            "generation %d of revision %s runs, listening on %s", offer.generation, offer.revision, where
        )
        around.fault("swapped")
        self._begin_probation()

    def _state_to_try(self, config: Config) -> State:
        """The state once `config` is in probation: who loses relay by it stays out should it fail."""
        state = self._around.store.state
        good = self._last_good(state)
        lost = narrowed(good.policy, config.policy) if good else ()
        return State(
            last_good=state.last_good,
            standing="probation",
            floor=config.offer.generation,
            starts=1,
            attempt=_attempt(config.offer, "applied"),
            denied=state.denied,
            denied_on_return=tuple(dict.fromkeys((*state.denied, *lost))),
        )

    def _last_good(self, state: State) -> Config | None:
        return self.config if state.standing == "settled" else self._before

    def _persist(self, trying: State, offer: Offer, file: ConfigFile) -> None:
        store = self._around.store
        store.save(trying.model_copy(update={"current": store.add(offer, file)}), step="trying")
        self._around.fault("persisted")

    def _swap(self, config: Config | None) -> None:
        self.config = config
        self._around.current.policy = config.policy if config else None
        self._around.current.generation = config.offer.generation if config else 0
        self._around.swapped(self._around.current.policy)
        gc.collect()
        gc.freeze()

    def _reject(self, offer: Offer, refused: Rejected) -> None:
        log.error("generation %s rejected in %s: %s", offer.generation, refused.phase, refused)
        attempt = _attempt(offer, "rejected", refused.phase, refused.errors)
        self._save(
            self._around.store.state.model_copy(update={"floor": offer.generation, "attempt": attempt})
        )
        self.attempt = attempt
        self._around.changed()

    def _refuse_unverified(self, signed: Signed, refused: Rejected) -> bool:
        """What is not signed for us leaves no trace on disk: a forged offer must not shut out the real one."""
        log.error("an offer was refused: %s", refused)
        generation, digest = claimed(signed)
        attempt = Attempt(
            generation=generation,
            digest=digest,
            outcome="rejected",
            phase=refused.phase,
            errors=refused.errors,
        )
        is_news = attempt != self.attempt
        self.attempt = attempt
        return is_news

    def _note(self, offer: Offer, outcome: Outcome) -> None:
        self.attempt = _attempt(offer, outcome)
        self._around.changed()

    def _save(self, state: State) -> None:
        """Save where the answer to a failure is to go on: the state before names a whole config as well."""
        try:
            self._around.store.save(state)
        except OSError as error:
            log.error("the state is not on disk: %s", error)
            self.stored = False
        else:
            self.stored = True

    # --- probation -----------------------------------------------------------------------------------------

    def _begin_probation(self) -> None:
        self._probation = self._tasks.create_task(self._prove(), name="probation")

    def _end_probation(self) -> None:
        if self._probation is not None:
            self._probation.cancel()
            self._probation = None

    async def _prove(self) -> None:
        config = self.config
        if config is None:
            return
        problem = await self._around.prove(config, config.offer.probation_s)
        async with self._turn:
            self._probation = None
            if problem:
                await self._return("probation", problem)
                return
        await self._settle()

    async def _settle(self) -> None:
        while not await self._settled_on_disk():  # noqa: ASYNC110 - a disk tells nobody that it has room again
            await asyncio.sleep(SAVE_AGAIN_S)
        self._around.store.sweep()
        self._around.changed()
        log.info("generation %d has settled", self._around.store.state.floor)

    async def _settled_on_disk(self) -> bool:
        async with self._turn:
            state = self._around.store.state
            settled = State(
                current=state.current, last_good=state.current, floor=state.floor, attempt=state.attempt
            )
            try:
                await whole(partial(self._around.store.save, settled, step="settled"))
            except OSError as error:
                log.error("a settled config is not on disk as such: %s", error)
                self.stored = False
                return False
            self._before, self.stored = None, True
            self._around.fault("settled")
            return True

    async def _return(self, phase: Phase, problem: str) -> None:
        """Go back to the last good config; what the failed one had removed stays removed."""
        store, state = self._around.store, self._around.store.state
        attempt = self._rolled_back(phase, problem)
        log.error("back to the last good config: %s", problem)
        self._save(
            State(
                current=state.last_good,
                last_good=state.last_good,
                floor=state.floor,
                attempt=attempt,
                denied=state.denied_on_return,
            )
        )
        self.attempt = attempt
        config = self._before or self._restored(state.last_good)
        self._before = None
        self._around.denials.keep(state.denied_on_return)
        self._swap(config)
        await self._around.doors.open(config.policy.bindings if config else ())
        store.sweep()
        self._around.changed()

    def _rolled_back(self, phase: Phase, problem: str) -> Attempt:
        reason = AttemptError(type=f"/problems/{phase}-failed", detail=problem[:1024])
        tried = self.attempt
        generation, digest = (
            (tried.generation, tried.digest) if tried else (self._around.store.state.floor, "")
        )
        return Attempt(
            generation=generation, digest=digest, outcome="rolled_back", phase=phase, errors=(reason,)
        )

    # --- upkeep --------------------------------------------------------------------------------------------

    async def recompile(self) -> None:
        """Compile what runs again, because a range of it has expired."""
        async with self._turn:
            if self.config is not None:
                offer, policy = self.config
                self._swap(await asyncio.to_thread(compiled, offer, policy.bundle, self._around.clock.now()))

    async def open_doors(self) -> None:
        """Try again to listen where a start could not, or begin to listen again."""
        async with self._turn:
            await self._around.doors.reopen()

    async def shut_doors(self, why: str) -> None:
        """Stop listening, whatever is configured, until `open_doors`."""
        async with self._turn:
            await self._around.doors.close_all(why)


def _attempt(
    offer: Offer, outcome: Outcome, phase: Phase = "", errors: tuple[AttemptError, ...] = ()
) -> Attempt:
    return Attempt(
        generation=offer.generation, digest=offer.digest, outcome=outcome, phase=phase, errors=errors
    )
