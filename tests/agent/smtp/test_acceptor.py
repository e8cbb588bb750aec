"""Accepting goes on after the system ran out of something."""

import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from gatepost_agent.smtp.acceptor import Acceptor
from tests.support.waiting import eventually

Run = Callable[[Any], Any]


class FailingSocket:
    """A listening socket whose first accepts fail."""

    def __init__(self, errors: list[int]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self._errors = errors
        self.address = self._listening.getsockname()

    def accept(self) -> Any:
        if self._errors:
            raise OSError(self._errors.pop(0), "as the test says")
        return self._listening.accept()

    def fileno(self) -> int:
        return self._listening.fileno()

    def close(self) -> None:
        self._listening.close()


@pytest.mark.parametrize(
    "error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ECONNABORTED, errno.EPROTO]
)
def test_a_client_is_accepted_after_the_trouble_has_passed(run: Run, error: int) -> None:
    accepted: list[socket.socket] = []

    async def story() -> None:
        listening: Any = FailingSocket([error, error])
        acceptor = Acceptor(listening, lambda connection, _: accepted.append(connection), lambda: True)
        acceptor.start()
        with socket.create_connection(listening.address):
            await eventually(lambda: len(accepted) == 1)
        accepted[0].close()
        acceptor.close()

    run(story())


def test_draining_a_socket_that_does_not_listen_ends(run: Run) -> None:
    async def story() -> None:
        with socket.socket() as unbound:
            unbound.setblocking(False)
            Acceptor(unbound, lambda *_: None, lambda: True).drain()

    run(story())
