"""The local socket: for us alone, one request at a time, errors as answers."""

import asyncio
import socket
import stat
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gatepost_agent.errors import AgentError, UsageRefused
from gatepost_agent.local import client
from gatepost_agent.local.client import NotRunning, ask
from gatepost_agent.local.server import MAX_CALLERS, serving
from gatepost_agent.local.wire import Row


async def _count(arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
    for number in range(int(arguments["to"])):
        yield {"number": number}


async def _refuse(arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
    for row in arguments.get("before", ()):
        yield row
    if arguments.get("usage"):
        raise UsageRefused("not like that")
    raise AgentError("cannot be done")


async def _break(arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
    yield {"before": True}
    raise RuntimeError(str(arguments))


async def _be_silent(arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
    await asyncio.Event().wait()
    yield {}


async def _echo(arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
    yield {"ids": len(arguments["ids"])}


COMMANDS = {"count": _count, "refuse": _refuse, "break": _break, "be silent": _be_silent, "echo": _echo}


def asked(folder: Path, command: str, **arguments: Any) -> list[Row]:
    async def story() -> list[Row]:
        async with serving(folder, COMMANDS):
            return await asyncio.to_thread(lambda: list(ask(folder, command, arguments)))

    return asyncio.run(story())


def test_rows_come_in_order(tmp_path: Path) -> None:
    assert asked(tmp_path, "count", to=3) == [{"number": 0}, {"number": 1}, {"number": 2}]


def test_refusals_come_as_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(UsageRefused, match="not like that"):
        asked(tmp_path, "refuse", usage=True)
    with pytest.raises(AgentError, match="cannot be done"):
        asked(tmp_path, "refuse")
    with pytest.raises(UsageRefused, match="knows no command 'dance'"):
        asked(tmp_path, "dance")


def test_an_agent_that_says_nothing_is_not_waited_for_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_S", 0.05)
    with pytest.raises(AgentError, match="has said nothing for"):
        asked(tmp_path, "be silent")


def test_a_command_that_breaks_ends_nothing_but_itself(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="RuntimeError"):
        asked(tmp_path, "break")


def test_only_the_owner_may_ask(tmp_path: Path) -> None:
    async def story() -> int:
        async with serving(tmp_path, COMMANDS):
            return stat.S_IMODE((tmp_path / "agent.sock").stat().st_mode)

    assert asyncio.run(story()) == 0o600


def test_nobody_home_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match=str(tmp_path)):
        list(ask(tmp_path, "count"))


def test_a_hundred_thousand_ids_are_one_request(tmp_path: Path) -> None:
    ids = list(range(1_000_000, 1_100_000))
    assert asked(tmp_path, "echo", ids=ids) == [{"ids": 100_000}]


@pytest.mark.parametrize("octets", [1_100_000, 2_000_000, 20_000_000])
def test_a_request_that_is_too_large_is_told_so_and_leaves_the_agent_as_it_was(
    tmp_path: Path, octets: int
) -> None:
    with pytest.raises(UsageRefused, match="larger than 1,048,576 octets: name fewer ids, or a filter"):
        asked(tmp_path, "echo", ids=["x" * octets])
    assert asked(tmp_path, "count", to=1) == [{"number": 0}]


def test_one_caller_too_many_is_told_to_try_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path, COMMANDS):
            path = str(tmp_path / "agent.sock")
            others = [(await asyncio.open_unix_connection(path))[1] for _ in range(MAX_CALLERS)]
            try:
                with pytest.raises(AgentError, match="too many commands at once: try again"):
                    await asyncio.to_thread(lambda: list(ask(tmp_path, "echo", {"ids": [7] * 200_000})))
            finally:
                for other in others:
                    other.close()

    asyncio.run(story())


def test_callers_that_nobody_accepts_any_more_are_told_to_try_again(tmp_path: Path) -> None:
    with _listening(tmp_path), socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(str(tmp_path / "agent.sock"))
        with pytest.raises(AgentError, match="too many commands at once: try again"):
            list(ask(tmp_path, "count", {"to": 1}))


def _listening(folder: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "agent.sock"))
    listening.listen(0)
    return listening


def _hang_up(connection: socket.socket) -> None:
    connection.close()


def _hang_up_after_a_word(connection: socket.socket) -> None:
    connection.recv(1)
    connection.close()  # with the rest unread: a reset


@pytest.mark.parametrize("ending", [_hang_up, _hang_up_after_a_word])
@pytest.mark.parametrize("ids", [1, 1_000_000])
def test_an_agent_that_hangs_up_is_said_to_have_done_so(
    tmp_path: Path, ending: Callable[[socket.socket], None], ids: int
) -> None:
    with _listening(tmp_path) as listening:
        agent = threading.Thread(target=lambda: ending(listening.accept()[0]))
        agent.start()
        with pytest.raises(AgentError, match="the agent ended the connection before its answer"):
            list(ask(tmp_path, "count", {"ids": [7] * ids}))
        agent.join()


def test_a_socket_left_by_a_killed_agent_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "agent.sock").touch()
    assert asked(tmp_path, "count", to=1) == [{"number": 0}]


def test_a_long_folder_name_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    assert asked(deep, "count", to=1) == [{"number": 0}]


@pytest.mark.parametrize("line", [b"\n", b"not json\n", b"[]\n", b'{"command": 5}\n', b"x" * 100_000 + b"\n"])
def test_nonsense_ends_the_call_and_nothing_else(tmp_path: Path, line: bytes) -> None:
    async def story() -> None:
        async with serving(tmp_path, COMMANDS):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "agent.sock"))
            writer.write(line)
            assert await reader.read() == b""
            writer.close()
            assert await asyncio.to_thread(lambda: len(list(ask(tmp_path, "count", {"to": 2})))) == 2

    asyncio.run(story())
