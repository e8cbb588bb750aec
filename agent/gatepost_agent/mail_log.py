"""The mail log: one JSON line for each thing that happened to a message. Bounded; `trace` reads it."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import to_json

from gatepost_agent.local.selection import is_address, is_client

FOLDER, FILE = "log", "mail.jsonl"
MAX_FILE_BYTES = 32 * 1024 * 1024
KEPT_FILES = 8


class MailLog:
    """Appends lines through a buffer; `flush` once a second. Log lines are lost on a full disk, mail is not."""

    def __init__(
        self, state_folder: Path, *, max_file_bytes: int = MAX_FILE_BYTES, kept_files: int = KEPT_FILES
    ) -> None:
        self._folder = state_folder / FOLDER
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._max = max_file_bytes
        self._kept = kept_files
        self._file = self._open()
        self.lost = 0

    def write(self, event: Mapping[str, Any]) -> None:
        """Add an event, with the time."""
        line = _line({"at": _now(), **event})
        try:
            self._file.write(line + b"\n")
        except OSError:
            self.lost += 1

    def flush(self) -> None:
        """Hand everything to the system, and begin a new file when this one is full."""
        try:
            self._file.flush()
            if self._file.tell() > self._max:
                self._rotate()
        except OSError:
            self.lost += 1

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()

    def _open(self) -> BinaryIO:
        handle = os.open(self._folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(handle, "ab", buffering=256 * 1024)

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._kept - 1, 0, -1):
            older = _numbered(self._folder, number)
            if older.exists():
                older.replace(_numbered(self._folder, number + 1))
        _numbered(self._folder, self._kept).unlink(missing_ok=True)
        (self._folder / FILE).replace(_numbered(self._folder, 1))
        self._file = self._open()


def _now() -> str:
    """UTC, to the millisecond."""
    now = time.time()
    return f"{_second(int(now))}.{int(now % 1 * 1000):03}Z"


@lru_cache(maxsize=2)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def _line(event: Mapping[str, Any]) -> bytes:
    try:
        return to_json(event, fallback=str)  # a quarter of what `json` takes, twice for each message
    except ValueError:  # half a character, in the text of an exception
        return json.dumps(event, default=str).encode("ascii")


def _numbered(folder: Path, number: int) -> Path:
    return folder / f"{FILE}.{number}"


def entries(state_folder: Path) -> Iterator[dict[str, Any]]:
    """Everything in the log, oldest first; lines that were cut off are passed over."""
    folder = state_folder / FOLDER
    files = [_numbered(folder, number) for number in range(KEPT_FILES, 0, -1)]
    for path in (*files, folder / FILE):
        if not path.exists():
            continue
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    yield entry


def concerns(entry: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    """Whether an entry is about what is sought: each of `id`, `from`, `to`, `client` that is given.

    As the queue's filters: `from` and `to` an address, `@domain` or `<>`; `client` an address or a range of them.
    """
    return all(_CONCERNS[name](entry, text) for name, text in wanted.items() if text)


def _has_id(entry: Mapping[str, Any], text: str) -> bool:
    ids = (str(entry.get("queue_id", "")), str(entry.get("message_id", "")).strip("<>").lower())
    return text.strip("<>").lower() in ids


def _is_from(entry: Mapping[str, Any], text: str) -> bool:
    sender = entry.get("mail_from")  # none in a refusal before MAIL; "" is the null sender
    senders = set[str]() if sender is None else {str(sender)}
    return _any_is(senders | _named(entry, _MAIL), text)


def _is_to(entry: Mapping[str, Any], text: str) -> bool:
    return _any_is(_recipients(entry) | _named(entry, _RCPT), text)


def _any_is(addresses: set[str], text: str) -> bool:
    return any(is_address(address, text if text == "<>" else text.strip("<>")) for address in addresses)


def _line_with_path(command: str) -> re.Pattern[str]:
    """Wider than what the door takes, whose parser the line may not have passed. Matches any text after the path."""
    path = r'<(?:\s*@[^:>]*:)?(?P<path>(?:"(?:[^"\\]|\\.)*"|[^">])*)|(?P<bare>[^\s<>]+)'
    return re.compile(rf"\s*{command}\s*:\s*(?:{path})", re.IGNORECASE)


_MAIL, _RCPT = _line_with_path(r"MAIL\s+FROM"), _line_with_path(r"RCPT\s+TO")


_CONCERNS: dict[str, Callable[[Mapping[str, Any], str], bool]] = {
    "id": _has_id,
    "client": lambda entry, text: is_client(str(entry.get("client", "")), text),
    "from": _is_from,
    "to": _is_to,
}


def _named(entry: Mapping[str, Any], line: re.Pattern[str]) -> set[str]:
    """The address in a line that was refused, however the client wrote it."""
    found = line.match(str(entry.get("said", "")))
    return {(found["path"] if found["bare"] is None else found["bare"]).strip()} if found else set()


def _recipients(entry: Mapping[str, Any]) -> set[str]:
    given = entry.get("rcpt_to") or []
    return {str(item) for item in given} if isinstance(given, list) else {str(given)}
