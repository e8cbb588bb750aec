"""The self test of a new config, where the host itself gets in its way; what it proves is in test_apply.py."""

import asyncio
import errno
import socket

import pytest

from gatepost.policy.model.addresses import parse_binding
from gatepost_agent.control.probation import SelfTest
from gatepost_agent.current import Current


def test_a_host_without_descriptors_is_a_problem_told_and_no_end_of_the_relay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exhausted(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    async def story() -> str:
        proving = SelfTest(Current(), try_again_s=0)
        with monkeypatch.context() as patched:
            patched.setattr(socket, "socket", exhausted)
            return await proving.prove([parse_binding("127.0.0.1:25")], 0)

    assert "Too many open files" in asyncio.run(story())
