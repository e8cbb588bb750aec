"""The command line's end of the local socket."""

import contextlib
import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gatepost_agent.errors import AgentError, UsageRefused
from gatepost_agent.local.server import TOO_MANY, reachable
from gatepost_agent.local.wire import Row, encode

ANSWER_S = 60.0
_ENDED = "the agent ended the connection before its answer was complete: see its log"


class NotRunning(AgentError):
    """No agent answers on this state folder."""


def ask(folder: Path, command: str, arguments: Mapping[str, Any] | None = None) -> Iterator[Row]:
    """The rows that a running agent answers. Raises NotRunning, AgentError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_S)
        _connect(connection, folder)
        with _talking():
            connection.sendall(encode({"command": command, "arguments": dict(arguments or {})}))
        with connection.makefile("rb") as lines:
            for line in _told(lines):
                message = json.loads(line)
                if "error" in message:
                    raise (UsageRefused if message.get("usage") else AgentError)(message["error"])
                if "end" in message:
                    return
                yield message["row"]
    raise AgentError(_ENDED)


def _told(lines: Iterable[bytes]) -> Iterator[bytes]:
    with _talking():
        yield from lines


@contextlib.contextmanager
def _talking() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise AgentError(f"the agent has said nothing for {ANSWER_S:.0f} s: see its log") from error
    except (BrokenPipeError, ConnectionResetError) as error:
        raise AgentError(_ENDED) from error


def _connect(connection: socket.socket, folder: Path) -> None:
    try:
        with reachable(folder) as path:
            connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        raise NotRunning(f"no agent runs on {folder.absolute()}") from error
    except BlockingIOError as error:  # those that wait to be accepted are too many
        raise AgentError(TOO_MANY) from error
    except PermissionError as error:
        raise AgentError(f"{folder.absolute()} is another user's: run this as the agent's user") from error
