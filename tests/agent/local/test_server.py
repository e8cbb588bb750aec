"""The local socket: for us alone, one request at a time, errors as answers."""

import asyncio
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gatepost_agent.errors import AgentError, UsageRefused
from gatepost_agent.local import client
from gatepost_agent.local.client import NotRunning, ask
from gatepost_agent.local.server import serving
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


COMMANDS = {"count": _count, "refuse": _refuse, "break": _break, "be silent": _be_silent}


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


def test_a_socket_left_by_a_killed_agent_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "agent.sock").touch()
    assert asked(tmp_path, "count", to=1) == [{"number": 0}]


def test_a_long_folder_name_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    assert asked(deep, "count", to=1) == [{"number": 0}]


@pytest.mark.parametrize("line", [b"\n", b"not json\n", b"[]\n", b'{"command": 5}\n', b"x" * 100_000])
def test_nonsense_ends_the_call_and_nothing_else(tmp_path: Path, line: bytes) -> None:
    async def story() -> None:
        async with serving(tmp_path, COMMANDS):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "agent.sock"))
            writer.write(line)
            assert await reader.read() == b""
            writer.close()
            assert await asyncio.to_thread(lambda: len(list(ask(tmp_path, "count", {"to": 2})))) == 2

    asyncio.run(story())
