"""The state folder: 0700, files 0600, ours alone; every write is whole and durable or did not happen."""

import contextlib
import fcntl
import logging
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from gatepost_agent.control.faults import Fault, no_fault
from gatepost_agent.errors import AlreadyRunning, StateRefused

MAX_FILE_BYTES = 128 * 1024 * 1024
AGENT = "agent"  # who holds a folder for good
_LOOK_S = 0.05

log = logging.getLogger(__name__)


class StateFolder:
    """Small files by name. Reading and writing refuse what others could have put or changed there."""

    def __init__(self, path: Path, fault: Fault = no_fault) -> None:
        self.path = path
        self._fault = fault
        _check(path, os.lstat(path), directory=True)

    @classmethod
    def open(cls, path: Path, *, create: bool = False, fault: Fault = no_fault) -> "StateFolder":
        """The folder at `path`, made 0700 when asked. Raises StateRefused."""
        absolute = path.absolute()
        try:
            if create and not absolute.exists():
                absolute.mkdir(mode=0o700, parents=True)
            return cls(absolute, fault)
        except FileNotFoundError as error:
            raise StateRefused(f"{absolute} does not exist: run `gatepost-agent enroll` first") from error
        except OSError as error:
            raise StateRefused(f"{absolute} cannot be used: {error.strerror}") from error

    def read(self, name: str) -> bytes | None:
        """A file's bytes, or None when there is none. Raises StateRefused."""
        path = self.path / name
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateRefused(f"{path} cannot be read: {error.strerror}") from error
        try:
            _check(path, os.fstat(handle), directory=False)
            with os.fdopen(os.dup(handle), "rb") as file:
                return file.read(MAX_FILE_BYTES)
        finally:
            os.close(handle)

    def write(self, name: str, content: bytes, *, step: str = "") -> None:
        """Replace a file: temporary, fsync, rename, fsync of the folder. Raises OSError, then nothing changed.

        step: what this write is called in fault injection; empty: it is not a step of an apply.
        """
        temporary = self.path / f".{name}.new"
        handle = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            self._passed(step, "written")
            os.fsync(handle)
        self._passed(step, "synced")
        os.replace(temporary, self.path / name)
        self._passed(step, "renamed")
        self._sync()
        self._passed(step, "folder-synced")

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / name).unlink()

    def names(self, prefix: str) -> tuple[str, ...]:
        """The files whose names begin with `prefix`."""
        return tuple(sorted(entry.name for entry in os.scandir(self.path) if entry.name.startswith(prefix)))

    @contextlib.contextmanager
    def locked(self, holder: str = AGENT, *, patience_s: float = 0.0) -> Iterator[None]:
        """Hold the folder: one agent each. Raises AlreadyRunning.

        holder: what others are told of us, the command's name if we are not the agent. patience_s: how long to wait
        for a holder that is no agent, and so will end.
        """
        path = self.path / "lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _check(path, os.fstat(handle), directory=False)
            self._take(handle, patience_s)
            with contextlib.suppress(OSError):  # on a full disk the lock holds without a name on it
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()} {holder}".encode(), 0)
            yield
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
        finally:
            os.close(handle)

    def _take(self, handle: int, patience_s: float) -> None:
        until = time.monotonic() + patience_s
        is_told = False
        while not _locks(handle):
            pid, _, holder = os.pread(handle, 64, 0).decode(errors="replace").partition(" ")
            if holder == AGENT:
                raise AlreadyRunning(f"an agent (pid {pid}) already runs on {self.path}")
            what = f"`gatepost-agent {holder or '…'}` (pid {pid or 'unknown'}) is at work on {self.path}"
            if time.monotonic() >= until:
                raise AlreadyRunning(f"{what}: try again when it has ended")
            if not is_told:
                log.warning("waiting: %s", what)
                is_told = True
            time.sleep(_LOOK_S)

    def _passed(self, step: str, point: str) -> None:
        if step:
            self._fault(f"{step}:{point}")

    def _sync(self) -> None:
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _locks(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check(path: Path, seen: os.stat_result, *, directory: bool) -> None:
    kind, mode = ("folder", "700") if directory else ("file", "600")
    right_kind = stat.S_ISDIR if directory else stat.S_ISREG
    if not right_kind(seen.st_mode):
        raise StateRefused(f"{path} is not a {kind}")
    if seen.st_uid != os.geteuid():
        raise StateRefused(
            f"{path} belongs to uid {seen.st_uid}, this process is uid {os.geteuid()}: chown it"
        )
    if seen.st_mode & 0o077:
        raise StateRefused(f"{path} is open to others (mode {stat.S_IMODE(seen.st_mode):o}): chmod {mode} it")
