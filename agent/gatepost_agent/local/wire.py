"""What goes over the local socket: one JSON line asks, JSON lines answer, the last one ends or refuses."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple, Protocol

SOCKET = "agent.sock"
MAX_REQUEST_BYTES = 1024 * 1024  # the ids of 100,000 messages
MAX_LINE_BYTES = 4 * 1024 * 1024

Row = dict[str, Any]


class Request(NamedTuple):
    """A command by name, with its arguments."""

    command: str
    arguments: Mapping[str, Any] = {}


class Command(Protocol):
    """Answers a request with rows. Raises AgentError for what is refused."""

    def __call__(self, arguments: Mapping[str, Any]) -> AsyncIterator[Row]:
        """The rows of the answer."""


def encode(message: Mapping[str, Any]) -> bytes:
    """One line."""
    return json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n"


def decode_request(line: bytes) -> Request:
    """A request from its line. Raises ValueError."""
    message = json.loads(line)
    if not isinstance(message, dict) or not isinstance(message.get("command"), str):
        raise ValueError("not a request")
    arguments = message.get("arguments", {})
    if not isinstance(arguments, dict):
        raise ValueError("arguments are not an object")
    return Request(message["command"], arguments)
