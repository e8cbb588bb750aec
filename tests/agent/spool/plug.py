"""A disk in memory whose plug can be pulled: it keeps what was synced and drops everything else.

SQLite reaches it through a VFS, body files through the spool's Disk. Both count the same steps: every write, sync,
create, rename, truncate and unlink, so that a test can cut, or inject an error, at each of them.
"""

import errno
import itertools
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw

_numbers = itertools.count()


class PowerCut(OSError):
    """The machine is off."""


class _Inode:
    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.durable = bytes(data)
        self.unsynced: list[tuple[int, bytes | None]] = []  # (offset, written) or (size, None): truncated

    def write(self, offset: int, block: bytes) -> None:
        _write(self.data, offset, block)
        self.unsynced.append((offset, block))

    def truncate(self, size: int) -> None:
        del self.data[size:]
        self.unsynced.append((size, None))

    def sync(self) -> None:
        self.durable = bytes(self.data)
        self.unsynced.clear()

    def left_over(self, luck: random.Random | None) -> bytes:
        """What the medium has: the synced part, and with `luck` any of the later writes, in any order."""
        data = bytearray(self.durable)
        if luck:
            for offset, block in self.unsynced:
                if luck.random() < 0.5:
                    continue
                if block is None:
                    del data[offset:]
                else:
                    _write(data, offset, block[: luck.choice([len(block), len(block), len(block) // 2])])
        return bytes(data)


def _write(data: bytearray, offset: int, block: bytes) -> None:
    data.extend(bytes(max(0, offset - len(data))))
    data[offset : offset + len(block)] = block


class PlugDisk:
    """Implements the spool's Disk. `cut_at`: the step before which the power goes; `fault`: may raise at a step."""

    def __init__(self, cut_at: int | None = None) -> None:
        self.cut_at = cut_at
        self.steps: list[str] = []
        self.is_cut = False
        self.free = 1 << 40
        self.forgets: set[str] = set()  # kinds of step that are answered well and not done: a lying disk
        self.fault: Callable[[str, str], BaseException | None] = lambda kind, name: None
        self._live: dict[str, _Inode] = {}
        self._medium: dict[str, _Inode] = {}
        self._folders = {"/"}
        self._lock = threading.RLock()
        self._vfs = _Vfs(self, f"plug-{next(_numbers)}")
        self.vfs: str | None = self._vfs.name

    def close(self) -> None:
        """Unregister the VFS."""
        self._vfs.unregister()

    def after_cut(self, luck: random.Random | None = None) -> "PlugDisk":
        """The disk as the next start finds it."""
        left = PlugDisk()
        left._folders = set(self._folders)
        names = dict(self._medium)
        if luck:  # names that were not synced may have made it too
            names |= {name: inode for name, inode in self._live.items() if luck.random() < 0.5}
        left._live = {name: _Inode(inode.left_over(luck)) for name, inode in names.items()}
        left._medium = dict(left._live)
        return left

    def step(self, kind: str, name: str) -> bool:
        """Count a step; False if it shall only seem to be done."""
        if self.is_cut or len(self.steps) == self.cut_at:
            self.is_cut = True
            raise PowerCut(errno.EIO, "the power is off")
        self.steps.append(f"{kind} {name}")
        if error := self.fault(kind, name):
            raise error
        return kind not in self.forgets

    # -- Disk

    def make_folder(self, path: Path) -> None:
        self._folders.add(str(path))

    def create(self, path: Path) -> "_Appender":
        with self._lock:
            self.step("create", path.name)
            if str(path) in self._live:
                raise FileExistsError(errno.EEXIST, "exists", str(path))
            inode = self._live[str(path)] = _Inode()
        return _Appender(self, path.name, inode)

    def read(self, path: Path, offset: int, size: int) -> bytes:
        with self._lock:
            return bytes(self._inode(path).data[offset : offset + size])

    def size(self, path: Path) -> int:
        with self._lock:
            return len(self._inode(path).data)

    def names(self, folder: Path) -> list[str]:
        with self._lock:
            paths = map(Path, [*self._live, *self._folders])
            return [path.name for path in paths if path.parent == folder]

    def rename(self, source: Path, target: Path) -> None:
        with self._lock:
            self.step("rename", source.name)
            self._live[str(target)] = self._inode(source)
            del self._live[str(source)]

    def unlink(self, path: Path) -> None:
        with self._lock:
            if str(path) in self._live:
                self.step("unlink", path.name)
                del self._live[str(path)]

    def remove_folder(self, folder: Path) -> None:
        self._folders.discard(str(folder))

    def sync_folder(self, folder: Path) -> None:
        with self._lock:
            if self.step("sync-folder", folder.name):
                for name in [n for n in self._medium if Path(n).parent == folder]:
                    del self._medium[name]
                self._medium |= {n: inode for n, inode in self._live.items() if Path(n).parent == folder}

    def free_bytes(self, folder: Path) -> int:
        return self.free

    # -- for the VFS and for tests

    def _inode(self, path: Path) -> _Inode:
        try:
            return self._live[str(path)]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path)) from None

    def spoil(self, path: Path, offset: int, block: bytes) -> None:
        """Change what is on the medium."""
        inode = self._inode(path)
        _write(inode.data, offset, block)
        inode.sync()


class _Appender:
    def __init__(self, disk: PlugDisk, name: str, inode: _Inode) -> None:
        self._disk, self._name, self._inode = disk, name, inode

    def append(self, blocks: Sequence[bytes]) -> None:
        for block in blocks:
            with self._disk._lock:
                if self._disk.step("write", self._name):
                    self._inode.write(len(self._inode.data), block)

    def sync(self) -> None:
        with self._disk._lock:
            if self._disk.step("sync-body", self._name):
                self._inode.sync()

    def close(self) -> None:
        pass


class _Vfs(apsw.VFS):
    def __init__(self, disk: PlugDisk, name: str) -> None:
        self.name = name
        self._disk = disk
        super().__init__(name, "unix")

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        return pathname in self._disk._live

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        path = Path(filename)
        self._disk.unlink(path)
        if syncdir:
            self._disk.sync_folder(path.parent)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        with self._disk._lock:
            is_new = str(path) not in self._disk._live
            if is_new and not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError(f"no {path}")
            if is_new:
                self._disk.step("create", path.name)
                self._disk._live[str(path)] = _Inode()
            flags[1] = flags[0]
            # SQLite's unix VFS syncs the folder with the first sync of a new journal or WAL, and of nothing else.
            journal = flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL)
            return _VfsFile(self._disk, path, folder_too=bool(is_new and journal))


class _VfsFile:
    def __init__(self, disk: PlugDisk, path: Path, *, folder_too: bool) -> None:
        self._disk, self._path, self._folder_too = disk, path, folder_too
        self._inode = disk._inode(path)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        with self._disk._lock:
            return bytes(self._inode.data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        with self._disk._lock:
            if self._disk.step("write", self._path.name):
                self._inode.write(offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        with self._disk._lock:
            if self._disk.step("truncate", self._path.name):
                self._inode.truncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        with self._disk._lock:
            if self._disk.step("sync", self._path.name):
                self._inode.sync()
        if self._folder_too:
            self._folder_too = False
            self._disk.sync_folder(self._path.parent)

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._inode.data)

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE  # as SQLite takes for granted of real disks

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        return False

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xLock(self, level: int) -> None:  # noqa: N802
        pass

    def xUnlock(self, level: int) -> None:  # noqa: N802
        pass

    def xClose(self) -> None:  # noqa: N802
        pass


def sqlite_error(kind: str) -> apsw.Error:
    """What SQLite is told: "full", "write" or "sync" failed."""
    if kind == "full":
        return apsw.FullError("the disk is full")
    error = apsw.IOError(f"{kind} failed")
    code = apsw.SQLITE_IOERR_FSYNC if kind == "sync" else apsw.SQLITE_IOERR_WRITE
    error.extendedresult = code  # type: ignore[attr-defined]
    return error
