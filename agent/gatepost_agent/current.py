"""What the listeners hold now: the one pointer that an apply swaps, and the only place where smtp and control meet."""

from collections.abc import Iterable
from typing import Protocol

from gatepost.policy.dialogue.compiled import Policy
from gatepost.policy.dialogue.denied import NOBODY_DENIED, DeniedSet
from gatepost.policy.model.addresses import Binding


class ListenError(OSError):
    """A binding that cannot be had; `binding` is as configured, the text says what the system told."""

    def __init__(self, binding: str, problem: str, *, retryable: bool) -> None:
        super().__init__(f"{binding}: {problem}")
        self.binding = binding
        self.retryable = retryable


class Staged(Protocol):
    """Sockets bound, not yet listening. Exactly one of the two is called."""

    async def commit(self) -> None:
        """Listen on the new sockets, then drain and close the old ones. Raises ListenError with nothing changed."""

    async def abandon(self) -> None:
        """Close what was bound for this stage."""


class Listening(Protocol):
    """The agent's listeners, as control sees them."""

    async def stage(self, bindings: Iterable[Binding]) -> Staged:
        """Bind what is new among `bindings` (literal addresses); what listens is not touched. Raises ListenError."""

    def addresses(self) -> tuple[str, ...]:
        """What is listened on now, as `0.0.0.0:25`."""


class Current:
    """The pointer. A session reads `policy` at connect and at each MAIL, `denied` at each event."""

    def __init__(self) -> None:
        self.policy: Policy | None = None
        self.generation = 0
        self.denied: DeniedSet = NOBODY_DENIED
        self.probes: set[tuple[str, int]] = set()
        """Client ends (address, port) of the agent's own self test: greeted like anybody, counted nowhere."""
