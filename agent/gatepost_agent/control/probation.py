"""The self test of a new config: does every listener still greet? What it says to us does not matter.

Refusals are a config's business, and whether the control plane can be reached is nobody's fault here: neither counts.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Iterator

from gatepost.policy.model.addresses import Binding
from gatepost_agent.current import Current

GREETING_S = 10.0
TRIES = 3
TRY_AGAIN_S = 1.0
LOOPBACK = {4: "127.0.0.1", 6: "::1"}


class SelfTest:
    """Connects from the host's own address; `current.probes` tells the listeners not to count it."""

    def __init__(
        self, current: Current, *, greeting_s: float = GREETING_S, try_again_s: float = TRY_AGAIN_S
    ) -> None:
        """`greeting_s`: how long a greeting may take; `try_again_s`: between the tries at one listener."""
        self._current = current
        self._greeting_s = greeting_s
        self._try_again_s = try_again_s

    async def prove(self, bindings: Iterable[Binding], probation_s: float) -> str:
        """Test at the beginning and at the end of the probation; returns what is wrong, or nothing."""
        bindings = tuple(bindings)
        problem = await self._all(bindings)
        if problem or not probation_s:
            return problem
        await asyncio.sleep(probation_s)
        return await self._all(bindings)

    async def _all(self, bindings: tuple[Binding, ...]) -> str:
        for binding in bindings:
            problem = await self._persistently(binding)
            if problem:
                return f"the listener {binding} does not greet: {problem}"
        return ""

    async def _persistently(self, binding: Binding) -> str:
        """A flood may fill the accept queue for a moment: that alone is no failure of the config."""
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(self._try_again_s)
            problem = await self._greeted(binding)
            if not problem:
                break
        return problem

    async def _greeted(self, binding: Binding) -> str:
        address = binding.address
        if address is None:
            return "its named address is not known"
        host = LOOPBACK[address.version] if binding.wildcard else str(address)
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        try:  # all of it: a host may have no descriptor left for our own end either
            with socket.socket(family, socket.SOCK_STREAM) as connection:
                connection.setblocking(False)
                connection.bind((host, 0))
                with self._uncounted(connection):
                    async with asyncio.timeout(self._greeting_s):
                        return await _conversation(connection, host, binding.port)
        except TimeoutError:
            return f"no greeting within {self._greeting_s:g} s"
        except OSError as error:
            return str(error)

    @contextlib.contextmanager
    def _uncounted(self, connection: socket.socket) -> Iterator[None]:
        own = connection.getsockname()[:2]
        self._current.probes.add(own)
        try:
            yield
        finally:
            self._current.probes.discard(own)


async def _conversation(connection: socket.socket, host: str, port: int) -> str:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (host, port))
    greeting = await loop.sock_recv(connection, 512)
    if not (len(greeting) >= 3 and greeting[:3].isdigit()):
        return f"it says {greeting[:80]!r}, which is not SMTP"
    with contextlib.suppress(OSError):
        await loop.sock_sendall(connection, b"QUIT\r\n")
    return ""
