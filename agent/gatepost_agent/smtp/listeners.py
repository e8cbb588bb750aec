"""The agent's listeners: a new set of bindings is staged, then committed whole, without a reset connection.

Theory of operation. Staging binds what is new. Committing (1) listens on it, which may still fail, (2) stops new
handshakes on what goes and waits a moment for those under way, (3) accepts all that these sockets still hold, and
closes them, (4) begins to accept on the new ones. Between (1) and (4) their connections wait in the kernel's queue,
so whoever swaps the policy right after `commit` returns has it in place before the first of them is greeted.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator

from gatepost.policy.model.addresses import Binding
from gatepost_agent.current import ListenError
from gatepost_agent.smtp.acceptor import Accept, Acceptor
from gatepost_agent.smtp.sockets import (
    bind,
    check_local,
    group_of,
    refusal,
    refuse_handshakes,
    share,
    sockets_for,
)

BACKLOG = 1024
HANDSHAKE_S = 0.05
"""How long a socket that goes lets handshakes end. A slower client is reset, as if it had come a moment later."""


def _always() -> bool:
    return True


class Listeners:
    """Implements `current.Listening`. One stage at a time."""

    def __init__(
        self,
        accept: Accept,
        may_accept: Callable[[], bool] = _always,
        *,
        handshake_s: float = HANDSHAKE_S,
    ) -> None:
        self.handshake_s = handshake_s
        self._accept = accept
        self._may_accept = may_accept
        self._open: dict[Binding, Acceptor] = {}

    def addresses(self) -> tuple[str, ...]:
        """What is listened on now, as `0.0.0.0:25`."""
        return tuple(sorted(map(str, self._open)))

    async def stage(self, bindings: Iterable[Binding]) -> "Stage":
        """Bind what is new among `bindings`. Raises ListenError."""
        asked = frozenset(bindings)
        wanted = sockets_for(asked)
        stage = Stage(self, wanted)
        try:
            await stage.bind(served_elsewhere=asked - wanted)
        except BaseException:
            await stage.abandon()
            raise
        return stage

    async def close(self) -> None:
        """Stop listening; who already waits is accepted."""
        self.retire(self._open.values())
        self._open = {}

    # -- for Stage

    def missing(self, wanted: Iterable[Binding]) -> list[Binding]:
        return [binding for binding in wanted if binding not in self._open]

    def overlapping(self, binding: Binding) -> Iterator[socket.socket]:
        """Our sockets that listen on the same port and IP version; all keep `binding` from being bound if one is
        a wildcard, or it is."""
        for listening, acceptor in self._open.items():
            if group_of(listening) == group_of(binding) and (listening.wildcard or binding.wildcard):
                yield acceptor.socket

    def replace(self, wanted: frozenset[Binding], new: dict[Binding, socket.socket]) -> None:
        """The last step of a commit, without an await."""
        self.retire(self.going(wanted))
        kept = {binding: acceptor for binding, acceptor in self._open.items() if binding in wanted}
        started = {binding: self.acceptor(listening) for binding, listening in new.items()}
        for acceptor in started.values():
            acceptor.start()
        self._open = kept | started

    def going(self, wanted: frozenset[Binding]) -> list[Acceptor]:
        return [acceptor for binding, acceptor in self._open.items() if binding not in wanted]

    def acceptor(self, listening: socket.socket) -> Acceptor:
        return Acceptor(listening, self._accept, self._may_accept)

    @staticmethod
    def retire(acceptors: Iterable[Acceptor]) -> None:
        for acceptor in acceptors:
            acceptor.drain()
            acceptor.close()


class Stage:
    """Implements `current.Staged`."""

    def __init__(self, listeners: Listeners, wanted: frozenset[Binding]) -> None:
        self._listeners = listeners
        self._wanted = wanted
        self._new: dict[Binding, socket.socket] = {}
        self._shared: set[socket.socket] = set()

    async def bind(self, served_elsewhere: Iterable[Binding]) -> None:
        """Raises ListenError; what was bound before it is closed by `abandon`."""
        for binding in served_elsewhere:
            try:
                check_local(binding)
            except OSError as error:
                raise await _refused(binding, error) from error
        for binding in self._listeners.missing(self._wanted):
            try:
                self._new[binding] = self._bind(binding)
            except OSError as error:
                raise await _refused(binding, error) from error

    def _bind(self, binding: Binding) -> socket.socket:
        overlapping = set(self._listeners.overlapping(binding))
        for listening in overlapping - self._shared:
            share(listening, on=True)
        self._shared |= overlapping
        return bind(binding, shared=bool(overlapping))

    async def commit(self) -> None:
        """Listen on the new sockets, then drain and close the old ones. Raises ListenError with nothing changed."""
        await self._listen()
        going = self._listeners.going(self._wanted)
        for acceptor in going:
            refuse_handshakes(acceptor.socket)
        try:
            if going:
                await asyncio.sleep(self._listeners.handshake_s)
        finally:  # cancelled or not: from here on the new ones listen
            for listening in self._new.values():
                share(listening, on=False)
            self._listeners.replace(self._wanted, self._new)

    async def _listen(self) -> None:
        begun: list[socket.socket] = []
        for binding, listening in self._new.items():
            try:
                listening.listen(BACKLOG)
            except OSError as error:
                for other in begun:  # a client may have come already
                    self._listeners.acceptor(other).drain()
                await self.abandon()
                raise await _refused(binding, error) from error
            begun.append(listening)

    async def abandon(self) -> None:
        """Close what was bound for this stage."""
        for listening in self._new.values():
            listening.close()
        for listening in self._shared:
            share(listening, on=False)
        self._new = {}


async def _refused(binding: Binding, error: OSError) -> ListenError:
    return error if isinstance(error, ListenError) else await asyncio.to_thread(refusal, binding, error)
