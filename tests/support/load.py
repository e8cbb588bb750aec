"""Clients that keep a ledger of every 250, and next hops that tell what came: the two ends of a relay under load."""

import asyncio
import itertools
import re
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from tests.support.smart_host import SmartHost
from tests.system.agent_process import Client

T = TypeVar("T")

TOKEN = re.compile(rb"^Subject: (\S+)", re.MULTILINE)
LARGE = 200_000  # octets: more than the spool keeps in its database
SENDER = "scanner@contoso.com"


class Ledger:
    """What the clients of a relay were told. Tokens are never used twice, so a message is only ever sent once."""

    def __init__(self) -> None:
        self.answered: set[str] = set()  # 250 to the final dot was read
        self.refused: Counter[str] = Counter()  # anything else that was said in its place
        self.cut = 0  # connections that ended in mid-message
        self._lock = threading.Lock()

    def note(self, token: str, reply: str) -> None:
        """The answer to a whole message."""
        with self._lock:
            if reply.startswith("250 2.6.0"):
                self.answered.add(token)
            elif reply:
                self.refused[reply[:9]] += 1
            else:
                self.cut += 1


class Sender(threading.Thread):
    """One client, from one address: message after message, `per_connection` at a time; every 20th is large."""

    def __init__(
        self, ledger: Ledger, port: int, source: str, recipients: Sequence[str], *, per_connection: int
    ) -> None:
        super().__init__(name=f"client {source}")
        self._ledger = ledger
        self._port = port
        self._source = source
        self._recipients = itertools.cycle(recipients)
        self._most = per_connection
        self._numbers = itertools.count(1)
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                client = Client(self._port, self._source)
            except OSError:
                self.stopping.wait(0.02)  # nobody listens: the agent is being started again
                continue
            try:
                self._session(client)
            except OSError:
                self._ledger.note("", "")
            finally:
                client.close()

    def _session(self, client: Client) -> None:
        hello = client.say(f"EHLO {self._source}") if client.greeting.startswith("220") else client.greeting
        if not hello.startswith("250"):
            self._ledger.note("", hello)
            return
        for _ in range(self._most):
            number = next(self._numbers)
            token = f"{self._source}-{number}"
            reply = self._message(client, token, LARGE if number % 20 == 0 else 600)
            self._ledger.note(token, reply)
            if not reply.startswith("250") or self.stopping.is_set():
                return

    def _message(self, client: Client, token: str, size: int) -> str:
        """The last reply; empty when the connection ended."""
        for line in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{next(self._recipients)}>", "DATA"):
            reply = client.say(line)
            if not reply.startswith(("250", "354")):
                return reply
        filler = "The quick brown fox jumps over the lazy dog.\r\n" * (size // 46)
        return client.say(f"Subject: {token}\r\n\r\n{filler}.")


@contextmanager
def senders(
    ledger: Ledger, port: int, recipients: Sequence[str], *, kept_open: int, one_each: int
) -> Iterator[list[Sender]]:
    """Clients on 127.0.0.10 and up: some keep their sessions open, others make one for each message."""
    threads = [
        Sender(ledger, port, f"127.0.0.{10 + n}", recipients, per_connection=1000 if n < kept_open else 1)
        for n in range(kept_open + one_each)
    ]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for thread in threads:
            thread.stopping.set()
        for thread in threads:
            thread.join()


class NextHops:
    """SmartHosts by recipient domain, on a loop and thread of their own. `close` it."""

    def __init__(self, hosts: dict[str, SmartHost]) -> None:
        self.hosts = hosts
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="next hops")
        self._thread.start()
        for host in hosts.values():
            self.run(host.start())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it on the hosts' loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    @property
    def open(self) -> int:
        """Connections that have not come to an end yet: what a dead agent had written is read to the last octet."""
        return sum(host.open for host in self.hosts.values())

    def heal(self) -> None:
        """From now on everything is taken."""
        for host in self.hosts.values():
            host.answers = {}

    def tokens(self) -> dict[str, list[str]]:
        """By host: the token of each message that it answered 250, in order."""
        return {name: [token_of(m.data) for m in host.messages] for name, host in self.hosts.items()}

    def close(self) -> None:
        for host in self.hosts.values():
            self.run(host.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def token_of(data: bytes) -> str:
    """Which message it is."""
    found = TOKEN.search(data)
    return found[1].decode() if found else ""
