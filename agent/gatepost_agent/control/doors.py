"""The listeners that the running config asks for, kept open as far as the host lets us."""

import logging
from collections.abc import Callable, Sequence

from gatepost.policy.model.addresses import Binding
from gatepost.wire import Phase
from gatepost_agent.control.verify import Rejected, rejected
from gatepost_agent.current import ListenError, Listening, Staged

log = logging.getLogger(__name__)

Place = Callable[[str], str]
"""Where a binding stands in a config, as a JSON pointer; empty when nowhere."""


def _nowhere(binding: str) -> str:
    del binding
    return ""


class Doors:
    """At an apply all bindings or none; at a start, or on the way back, as many as can be had, the rest tried again.

    missing: why a wanted binding is not listened on. shut: closed on purpose, for as long as it is set.
    """

    def __init__(self, listening: Listening) -> None:
        self._listening = listening
        self._wanted: tuple[Binding, ...] = ()
        self.missing: dict[str, str] = {}
        self.shut = ""

    def addresses(self) -> tuple[str, ...]:
        """What is listened on now."""
        return self._listening.addresses()

    def is_drifted(self) -> bool:
        """Whether the sockets held are not those asked for. A wildcard serves the addresses of its port."""
        held, wanted = set(self.addresses()), {str(binding) for binding in self._wanted}
        needed = {str(b) for b in self._wanted if b.wildcard or not self._has_wildcard(b)}
        return not self.shut and not self.missing and not needed <= held <= wanted

    def _has_wildcard(self, binding: Binding) -> bool:
        return any(
            other.wildcard and other.port == binding.port and _version(other) == _version(binding)
            for other in self._wanted
        )

    async def stage(self, bindings: Sequence[Binding], place: Place = _nowhere) -> Staged:
        """Bind everything for a new config. Raises Rejected with nothing changed. place: of a binding in the config."""
        try:
            return await self._listening.stage(() if self.shut else bindings)
        except ListenError as error:
            raise _refusal("bind", error, place) from error

    async def commit(self, staged: Staged, bindings: Sequence[Binding], place: Place = _nowhere) -> None:
        """Listen. Raises Rejected with nothing changed."""
        try:
            await staged.commit()
        except ListenError as error:
            raise _refusal("listen", error, place) from error
        self._wanted, self.missing = tuple(bindings), {}

    async def open(self, bindings: Sequence[Binding]) -> None:
        """Listen on what can be had of these: a missing address must not close the other doors."""
        self._wanted = tuple(bindings)
        await self.retry()

    async def retry(self) -> None:
        """Try again to listen on everything wanted."""
        missing: dict[str, str] = {}
        while True:
            wanted = [binding for binding in self._wanted if str(binding) not in missing]
            try:
                staged = await self._listening.stage(() if self.shut else wanted)
                await staged.commit()
            except ListenError as error:
                if error.binding in missing or error.binding not in map(str, wanted):
                    missing = dict.fromkeys(map(str, wanted), str(error))
                    break
                missing[error.binding] = str(error)
            else:
                break
        if missing != self.missing:
            log.warning("listening on %s, missing %s", self.addresses(), missing or "nothing")
        self.missing = missing

    async def close_all(self, why: str) -> None:
        """Stop listening until `reopen`."""
        self.shut = why
        await self.retry()

    async def reopen(self) -> None:
        """Listen again."""
        self.shut = ""
        await self.retry()


def _refusal(phase: Phase, error: ListenError, place: Place) -> Rejected:
    pointer = place(error.binding)
    return rejected(phase, f"{phase}-failed", error, pointer=pointer, retryable=error.retryable)


def _version(binding: Binding) -> int:
    return binding.address.version if binding.address else 0
