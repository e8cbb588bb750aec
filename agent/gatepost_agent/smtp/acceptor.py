"""One listening socket on the event loop. Our own acceptor, because its queue must be drained before it closes."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

# (connection, the client's socket address); takes over the connection.
Accept = Callable[[socket.socket, Any], None]

BATCH = 64
"""Connections accepted in one turn of the loop, so that a flood leaves room for sessions."""
RETRY_S = 0.1
"""Pause when the system has no descriptor or memory for one more connection; the queue keeps them."""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# Trouble of the one connection that was in front of the queue (accept(2), «Error handling»).
_ONE_LOST = {
    errno.ECONNABORTED,
    errno.EPROTO,
    errno.ENETDOWN,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
}


class Acceptor:
    """Accepts from `listening` until closed. `may_accept` False leaves connections in the kernel's queue."""

    def __init__(self, listening: socket.socket, accept: Accept, may_accept: Callable[[], bool]) -> None:
        self.socket = listening
        self._accept = accept
        self._may_accept = may_accept
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._loop.add_reader(self.socket, self._ready)

    def drain(self) -> None:
        """Accept all that wait now."""
        while self._take():
            pass

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self.socket)
        self.socket.close()

    def _ready(self) -> None:
        for _ in range(BATCH):
            if not self._may_accept():
                return self._wait()
            if not self._take():
                return None
        return None

    def _take(self) -> bool:
        """Accept one connection; False when none waits or none can be had."""
        try:
            connection, client = self.socket.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._wait()
            return error.errno in _ONE_LOST
        connection.setblocking(False)
        self._accept(connection, client)
        return True

    def _wait(self) -> None:
        if self._pause is None:
            self._loop.remove_reader(self.socket)
            self._pause = self._loop.call_later(RETRY_S, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self.start()
