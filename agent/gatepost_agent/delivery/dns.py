"""From a next hop to addresses: MX by dnspython, smart hosts by the host's own resolver (/etc/hosts included).

Nothing here touches the loop's default executor or waits without a limit: a dead resolver must stop neither commits
nor mail to hops whose addresses are known. Answers are kept for a minute, and old ones used when there is no new one.
"""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeVar

import dns.asyncresolver
import dns.exception
import dns.resolver

from gatepost_agent.delivery.errors import DeliveryError, HopFailed, NoSuchDomain

LOOKUP_S = 20.0  # for one answer
KEPT_S = 60.0  # an answer is used again
KEPT_ANSWERS = 10_000
AT_ONCE = 64  # DNS questions under way
NAME_THREADS = 4

_Answer = TypeVar("_Answer")


class MxHost(NamedTuple):
    """One MX record; "." as the only one is a null MX (RFC 7505)."""

    preference: int
    host: str


class Resolver(Protocol):
    """Questions to the outside. Each raises HopFailed when there is no answer now."""

    async def mx(self, domain: str) -> list[MxHost]:
        """The MX records, [] if there are none. Raises NoSuchDomain when the domain does not exist."""

    async def addresses(self, host: str) -> list[str]:
        """IP addresses from DNS, [] if there are none."""

    async def named(self, host: str) -> list[str]:
        """IP addresses as this host resolves names."""


class SystemResolver:
    """`Resolver` from the host's configuration. `close` it."""

    def __init__(
        self,
        *,
        servers: dns.asyncresolver.Resolver | None = None,
        shuffle: Callable[[list[str]], None] = random.shuffle,
    ) -> None:
        """`servers`: which DNS servers to ask; those of /etc/resolv.conf by default."""
        self._shuffle = shuffle
        self._dns = servers or _configured()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(NAME_THREADS, thread_name_prefix="resolve")
        self._named: Cache[list[str]] = Cache()
        self._mx: Cache[list[MxHost]] = Cache()

    def close(self) -> None:
        """Wait for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def mx(self, domain: str) -> list[MxHost]:
        """As Resolver.mx."""
        return await self._mx.get_or_ask(domain, self._ask_mx)

    async def addresses(self, host: str) -> list[str]:
        """As Resolver.addresses: IPv6 and IPv4 mixed at random, as equal hosts should be."""
        answers = await asyncio.gather(self._records(host, "AAAA"), self._records(host, "A"))
        found = [text for answer in answers if isinstance(answer, list) for text in answer]
        failed = [answer for answer in answers if isinstance(answer, DeliveryError)]
        if failed and not found:
            # Unsure is not now: "no such domain" decides nothing while the other question has no answer.
            raise min(failed, key=lambda error: isinstance(error, NoSuchDomain))
        self._shuffle(found)
        return found

    async def _records(self, host: str, kind: str) -> list[str] | DeliveryError:
        """The records' texts, or why there are none: the other kind may do."""
        try:
            return [record.to_text() for record in await self._ask(host, kind) or ()]
        except (HopFailed, NoSuchDomain) as error:
            return error

    async def named(self, host: str) -> list[str]:
        """As Resolver.named."""
        return await self._named.get_or_ask(host, self._ask_host)

    async def _ask_mx(self, domain: str) -> list[MxHost]:
        answer = await self._ask(domain, "MX")
        records = [record.to_text().split() for record in answer or ()]
        return [MxHost(int(preference), host) for preference, host in records]

    async def _ask(self, name: str, kind: str) -> dns.resolver.Answer | None:
        try:
            async with self._slots:
                return await self._dns.resolve(name, kind, lifetime=LOOKUP_S, search=False)
        except dns.resolver.NoAnswer:
            return None
        except dns.resolver.NXDOMAIN:
            raise NoSuchDomain(f"no such domain: {name}", status="5.1.2") from None
        except (dns.exception.DNSException, OSError) as error:
            raise HopFailed(
                f"no answer from DNS for {name}: {type(error).__name__}", status="4.4.3"
            ) from error

    async def _ask_host(self, host: str) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LOOKUP_S):
                rows = await loop.run_in_executor(self._threads, _getaddrinfo, host)
        except (OSError, UnicodeError) as error:  # TimeoutError too
            raise HopFailed(f"the name {host} does not resolve: {error}", status="4.4.3") from error
        return list(dict.fromkeys(rows))


def _configured() -> dns.asyncresolver.Resolver:
    try:
        return dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        # A host without DNS can still relay to smart hosts by address.
        return dns.asyncresolver.Resolver(configure=False)


def _getaddrinfo(host: str) -> list[str]:
    return [str(row[4][0]) for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class Cache(dict[str, tuple[float, _Answer]]):
    """Answers with the time they came; old ones serve while there is no new one."""

    async def get_or_ask(self, name: str, ask: Callable[[str], Awaitable[_Answer]]) -> _Answer:
        """The kept answer if it is fresh, else a new one, else the old one. Raises what `ask` raises."""
        now = asyncio.get_running_loop().time()
        kept = self.get(name)
        if kept and now - kept[0] < KEPT_S:
            return kept[1]
        try:
            answer = await ask(name)
        except HopFailed:
            if kept:
                return kept[1]
            raise
        if len(self) >= KEPT_ANSWERS:
            self.clear()
        self[name] = (now, answer)
        return answer
