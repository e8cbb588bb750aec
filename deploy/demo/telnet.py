"""An SMTP session typed by hand, as the article does it with telnet; lines are shown as they were said."""

import socket
from types import TracebackType
from typing import NamedTuple, Self

TIMEOUT_S = 30.0


class Line(NamedTuple):
    """`typed`: by the client; otherwise what the server said."""

    typed: bool
    text: str


class Telnet:
    """A session from one client address. `lines` is the transcript."""

    def __init__(self, source: str, address: str, port: int) -> None:
        self.source = source
        self.lines: list[Line] = []
        self._socket = socket.create_connection((address, port), TIMEOUT_S, source_address=(source, 0))
        self._file = self._socket.makefile("rb")
        self.greeting = self._reply()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._socket.close()

    def say(self, *typed: str) -> str:
        """Type lines, then read one reply -> its last line; empty when the server has closed."""
        for text in typed:
            self.lines.append(Line(typed=True, text=text))
        self._socket.sendall("".join(f"{text}\r\n" for text in typed).encode())
        return self._reply()

    def _reply(self) -> str:
        while raw := self._file.readline():
            text = raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
            self.lines.append(Line(typed=False, text=text))
            if text[3:4] != "-":
                return text
        return ""
