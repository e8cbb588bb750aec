"""The protocol log: what connectors with `protocol_logging_level: Verbose` said and heard, in Exchange's CSV.

Source: Exchange's SmtpReceive protocol log (reference section 8.1). Rows are gathered on the event loop and written
by `write`, off it. Never credentials, never what is in a message. Bounded: a file by its size and day, the folder by
its size and age, what waits to be written by MAX_WAITING; rows above it are lost and counted.
"""

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from gatepost.policy.dialogue.compiled import Endpoint
from gatepost.policy.model.rights import Right

MAX_FILE_BYTES = 10 * 1024**2
MAX_FOLDER_BYTES = 250 * 1024**2
MAX_AGE_S = 30 * 86_400.0
MAX_WAITING = 50_000
"""Rows: with lines of ordinary length some 10 MB."""
_MAX_DATA = 1024

_TOKENS = {
    Right.SUBMIT: "SMTPSubmit",
    Right.ANY_RECIPIENT: "SMTPAcceptAnyRecipient",
    Right.ANY_SENDER: "SMTPAcceptAnySender",
    Right.AUTHORITATIVE_SENDER: "SMTPAcceptAuthoritativeDomainSender",
    Right.AUTHENTICATION_FLAG: "SMTPAcceptAuthenticationFlag",
    Right.EXCH50: "SMTPAcceptEXCH50",
    Right.HEADERS_ROUTING: "AcceptRoutingHeaders",
    Right.HEADERS_ORGANIZATION: "AcceptOrganizationHeaders",
    Right.HEADERS_FOREST: "AcceptForestHeaders",
    Right.BYPASS_ANTI_SPAM: "BypassAntiSpam",
    Right.BYPASS_SIZE_LIMIT: "BypassMessageSizeLimit",
}


def permission_tokens(rights: Iterable[Right]) -> str:
    """Rights as the `Set Session Permissions` row shows them."""
    held = set(rights)
    return " ".join(token for right, token in _TOKENS.items() if right in held)


def tarpit_text(delay_s: float) -> str:
    """`Tarpit for '0.00:00:05'`."""
    minutes, seconds = divmod(int(delay_s), 60)
    return f"Tarpit for '0.00:{minutes:02}:{seconds:02}'"


class SessionLog:
    """The rows of one session."""

    __slots__ = ("_log", "_messages", "_name", "_prefix", "_sequence", "_suffix")

    def __init__(
        self, log: "ProtocolLog", connector: str, session_id: str, local: Endpoint, remote: Endpoint
    ) -> None:
        self._log = log
        name = f"{log.server}\\{connector}"
        self._prefix = f"{_field(name)},{session_id}"
        self._suffix = f"{_shown(local)},{_shown(remote)}"
        self._name = f"{session_id};{_moment(log.clock())}"
        self._sequence = self._messages = 0

    def row(self, event: str, data: str = "", context: str = "") -> None:
        """event: `+` connect, `-` disconnect, `>` we said, `<` we heard, `*` information."""
        self._log.add(
            f"{self._prefix},{self._sequence},{self._suffix},{event},{_field(data)},{_field(context)}"
        )
        self._sequence += 1

    def receiving(self) -> None:
        """A message begins: its MAIL was taken."""
        self._messages += 1
        self.row("*", f"{self._name};{self._messages}", "receiving message")

    def said(self, text: str) -> None:
        """A reply, a row for each of its lines."""
        for line in text.split("\r\n"):
            self.row(">", line)

    def heard(self, raw: bytes) -> None:
        """A command line. The caller keeps back what is secret."""
        self.row("<", raw[:_MAX_DATA].decode("utf-8", "backslashreplace"))


def _shown(end: Endpoint) -> str:
    return f"[{end.address}]:{end.port}" if end.address.version == 6 else f"{end.address}:{end.port}"


def _field(text: str) -> str:
    """A CSV field; whatever could end a line is escaped, quotes come only where they are needed."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


class ProtocolLog:
    """Files `RECVyyyymmdd-n.LOG` in `folder`. clock: seconds since 1970."""

    def __init__(
        self,
        folder: Path,
        *,
        server: str,
        clock: Callable[[], float],
        max_file_bytes: int = MAX_FILE_BYTES,
        max_folder_bytes: int = MAX_FOLDER_BYTES,
    ) -> None:
        self.server = server
        self.lost = 0
        self._folder = folder
        self.clock = clock
        self._max_file = max_file_bytes
        self._max_folder = max_folder_bytes
        self._waiting: list[str] = []
        self._path: Path | None = None

    def session(self, connector: str, session_id: str, local: Endpoint, remote: Endpoint) -> SessionLog:
        """The log of a session that begins."""
        return SessionLog(self, connector, session_id, local, remote)

    def add(self, row: str) -> None:
        """A row without its time."""
        if len(self._waiting) >= MAX_WAITING:
            self.lost += 1
            return
        self._waiting.append(f"{_moment(self.clock())},{row}\r\n")

    def take(self) -> list[str]:
        """What waits to be written; called on the loop, for `write` in a thread."""
        rows, self._waiting = self._waiting, []
        return rows

    def write(self, rows: list[str]) -> None:
        """Append rows; blocks. Raises OSError."""
        if not rows:
            return
        now = self.clock()
        with self._open(now) as file:
            file.writelines(rows)
        self._prune(now)

    def _open(self, now: float) -> "_File":
        day = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d")
        path = self._path
        if path is None or f"RECV{day}-" not in path.name or _size(path) >= self._max_file:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._path = self._next(day)
        return _File(path, self._header(now))

    def _next(self, day: str) -> Path:
        """The day's last file while there is room in it, else a new one."""
        numbers = [int(path.stem.partition("-")[2] or 0) for path in self._folder.glob(f"RECV{day}-*.LOG")]
        last = max(numbers, default=1)
        path = self._folder / f"RECV{day}-{last}.LOG"
        return path if _size(path) < self._max_file else self._folder / f"RECV{day}-{last + 1}.LOG"

    def _header(self, now: float) -> str:
        return (
            "#Software: Gatepost\r\n#Version: 15.0.0.0\r\n#Log-type: SMTP Receive Protocol Log\r\n"
            f"#Date: {_moment(now)}\r\n#Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,"
            "remote-endpoint,event,data,context\r\n"
        )

    def _prune(self, now: float) -> None:
        """Delete the oldest files while the folder is too large, and those that are too old."""
        found = sorted((path.stat().st_mtime, path) for path in self._folder.glob("RECV*.LOG"))
        total = sum(_size(path) for _, path in found)
        for changed, path in found:
            if path != self._path and (total > self._max_folder or now - changed > MAX_AGE_S):
                total -= _size(path)
                path.unlink(missing_ok=True)


class _File:
    """A log file open for appending, for the owner only; a new one begins with its header."""

    def __init__(self, path: Path, header: str) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(handle, "a", encoding="utf-8", newline="")
        if self._file.tell() == 0:
            self._file.write(header)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def writelines(self, rows: Iterable[str]) -> None:
        self._file.writelines(rows)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _moment(now: float) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
