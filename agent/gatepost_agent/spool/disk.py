"""The few things the spool asks of a disk, so that a test can pull its plug. SQLite's own files go through `vfs`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class AppendFile(Protocol):
    """A file that only grows."""

    def append(self, blocks: Sequence[bytes]) -> None:
        """Write all blocks at the end. Raises OSError."""

    def sync(self) -> None:
        """Return when everything appended is on the medium. Raises OSError: then the file is worthless."""

    def close(self) -> None:
        """Close without syncing."""


class Disk(Protocol):
    """Paths are absolute; every call may raise OSError."""

    vfs: str | None  # name of the SQLite VFS that keeps the database; None: SQLite's own

    def make_folder(self, path: Path) -> None:
        """Make the folder, with its parents, for the owner only; existing ones are left as they are."""

    def create(self, path: Path) -> AppendFile:
        """Create a new file for the owner only; FileExistsError if there is one."""

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """Up to `size` octets from `offset`."""

    def size(self, path: Path) -> int:
        """Octets in the file; FileNotFoundError if there is none."""

    def names(self, folder: Path) -> list[str]:
        """What is in the folder."""

    def rename(self, source: Path, target: Path) -> None:
        """Rename; replaces `target`."""

    def unlink(self, path: Path) -> None:
        """Remove the file if it is there."""

    def remove_folder(self, folder: Path) -> None:
        """Remove an empty folder."""

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in the folder are on the medium."""

    def free_bytes(self, folder: Path) -> int:
        """Octets that we may still write."""


class _RealFile:
    def __init__(self, path: Path) -> None:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o600)

    def append(self, blocks: Sequence[bytes]) -> None:
        for block in blocks:
            left = memoryview(block)
            while left:
                left = left[os.write(self._fd, left) :]

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class RealDisk:
    """The host's file system."""

    vfs: str | None = None

    def make_folder(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def create(self, path: Path) -> AppendFile:
        return _RealFile(path)

    def read(self, path: Path, offset: int, size: int) -> bytes:
        with path.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), size, offset)

    def size(self, path: Path) -> int:
        return path.stat().st_size

    def names(self, folder: Path) -> list[str]:
        return os.listdir(folder)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def remove_folder(self, folder: Path) -> None:
        folder.rmdir()

    def sync_folder(self, folder: Path) -> None:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def free_bytes(self, folder: Path) -> int:
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize
