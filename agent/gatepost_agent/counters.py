"""Totals of one process life that a killed process does not lose: a file of numbers, mapped into memory.

One file for each incarnation (`<incarnation>.counts`). Fixed records of 256 octets: the total as u64, the length of
the key as u16, the key (`connector NUL event`). A record's key is written before its total, so what a killed process
leaves is always readable; a host that dies loses what was counted since the last `flush`. The files of earlier lives
are reported as closed until they are acknowledged, and kept some days more: a control plane that was restored from
a backup asks again.
"""

import errno
import mmap
import os
import re
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gatepost.wire import CounterSet

_RECORD = 256
_HEAD = struct.Struct("<QH")
_TOTAL = struct.Struct("<Q")
_FIRST_RECORDS = 64
MAX_RECORDS = 8192
"""Bound of one file (2 MB); more (connector, event) pairs are counted together under `OVERFLOW`."""
MAX_CLOSED = 50
"""Closed incarnations kept while nobody acknowledges them; the oldest go first."""
KEPT_S = 7 * 86_400.0
"""How long a closed incarnation is kept at the least."""
OVERFLOW = ("", "other")
_IN_MEMORY = -1  # the place of a total that has no record
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_NAME = re.compile(r"[0-9a-f]{32}\.counts")

Key = tuple[str, str]


def new_incarnation(now: float, random: Callable[[int], bytes] = os.urandom) -> str:
    """A UUIDv7 (RFC 9562 5.7) as 32 hex digits. now: seconds since 1970."""
    value = int(now * 1000) << 80 | int.from_bytes(random(10))
    value &= ~(0xF << 76) & ~(0x3 << 62)
    return f"{value | 0x7 << 76 | 0x2 << 62:032x}"


class CounterFile:
    """The totals of one incarnation, being counted."""

    def __init__(self, path: Path) -> None:
        """Create the file. Raises OSError, but for a full disk: then all is counted in memory alone."""
        self.incarnation = path.stem
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._size = _allocated(self._file, _FIRST_RECORDS * _RECORD)
        self._map = mmap.mmap(self._file, self._size) if self._size else None
        self._places: dict[Key, int] = {}
        self.totals: dict[Key, int] = {}

    def add(self, connector: str, event: str, number: int = 1) -> None:
        """Count; costs well under a microsecond."""
        key = (connector, event)
        place = self._places.get(key)
        if place is None:
            key, place = self._place(key)
        total = self.totals[key] = self.totals[key] + number
        if place != _IN_MEMORY and self._map is not None:
            _TOTAL.pack_into(self._map, place, total)

    def _place(self, key: Key) -> tuple[Key, int]:
        """A record for a new key, or the one that the overflow has."""
        if len(self._places) >= MAX_RECORDS - 1 and key != OVERFLOW:
            return (OVERFLOW, self._places[OVERFLOW]) if OVERFLOW in self._places else self._place(OVERFLOW)
        place = self._record(key)
        self._places[key], self.totals[key] = place, 0
        return key, place

    def _record(self, key: Key) -> int:
        """Where the key's record begins, now that it is written; _IN_MEMORY when the disk has no room for it."""
        place = len(self._places) * _RECORD
        if self._map is None or (place >= self._size and not self._grow()):
            return _IN_MEMORY
        text = "\0".join(key).encode()[: _RECORD - _HEAD.size]
        self._map[place + _HEAD.size : place + _HEAD.size + len(text)] = text
        _HEAD.pack_into(self._map, place, 0, len(text))
        return place

    def _grow(self) -> bool:
        """Twice the room, and so much that the next record is in it, however many are in memory alone."""
        assert self._map is not None  # noqa: S101 - the caller looked
        wanted = 2 * self._size
        while wanted <= len(self._places) * _RECORD:
            wanted *= 2
        if not _allocated(self._file, wanted):
            return False
        self._map.resize(wanted)
        self._size = wanted
        return True

    def flush(self) -> None:
        """Bring the totals to the disk; blocks, so not on the event loop. Raises OSError."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Flush and close."""
        try:
            self.flush()
        finally:
            if self._map is not None:
                self._map.close()
            os.close(self._file)


def _allocated(file: int, size: int) -> int:
    """`size`, once the disk has given the file so many octets; 0 when it cannot.

    Never a hole: to write into one through a mapping, with the disk full, ends the process by SIGBUS.
    """
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        return 0
    return size


def read_totals(path: Path) -> dict[Key, int]:
    """The totals in a file, whatever state its process left it in. Raises OSError."""
    return dict(_records(path.read_bytes()))


def _records(content: bytes) -> Iterator[tuple[Key, int]]:
    for place in range(0, len(content) - _RECORD + 1, _RECORD):
        total, length = _HEAD.unpack_from(content, place)
        text = content[place + _HEAD.size : place + _HEAD.size + length]
        connector, separator, event = text.decode("utf-8", "replace").partition("\0")
        if separator:
            yield (connector, event), total


class Counters:
    """All incarnations in a folder: the one that counts, and closed ones until acknowledged."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Begin a new incarnation. Raises OSError."""
        self._folder = folder
        self._clock = clock
        folder.mkdir(mode=0o700, exist_ok=True)
        self._closed = self._read_closed()
        self._acknowledged: set[str] = set()
        self._current = self._begin()

    @property
    def incarnation(self) -> str:
        return self._current.incarnation

    def add(self, connector: str, event: str, number: int = 1) -> None:
        self._current.add(connector, event, number)

    def sets(self) -> tuple[CounterSet, ...]:
        """What to report: this life first, then the closed ones, newest first."""
        closed = (_shown(name, totals, closed=True) for name, totals in reversed(self._closed.items()))
        return (_shown(self.incarnation, self._current.totals, closed=False), *closed)

    def acknowledge(self, incarnation: str) -> None:
        """The control plane has a closed incarnation's totals: `prune` may forget them."""
        if incarnation in self._closed:
            self._acknowledged.add(incarnation)

    def prune(self) -> None:
        """Forget what was acknowledged and is old."""
        for incarnation in list(self._acknowledged):
            try:
                age = self._clock() - self._path(incarnation).stat().st_mtime
            except FileNotFoundError:
                age = KEPT_S
            if age >= KEPT_S:
                self._forget(incarnation)

    def _forget(self, incarnation: str) -> None:
        del self._closed[incarnation]
        self._acknowledged.discard(incarnation)
        self._path(incarnation).unlink(missing_ok=True)

    def renew(self) -> None:
        """Begin a new incarnation; the present one is closed."""
        self._current.close()
        if self._current.totals:
            self._closed[self.incarnation] = self._current.totals
        else:
            self._path(self.incarnation).unlink(missing_ok=True)
        self._current = self._begin()

    def flush(self) -> None:
        """As CounterFile.flush."""
        self._current.flush()

    def close(self) -> None:
        self._current.close()

    def _path(self, incarnation: str) -> Path:
        return self._folder / f"{incarnation}.counts"

    def _begin(self) -> CounterFile:
        while len(self._closed) > MAX_CLOSED:
            self._forget(next(iter(self._closed)))
        return CounterFile(self._path(new_incarnation(self._clock())))

    def _read_closed(self) -> dict[str, dict[Key, int]]:
        """By incarnation, oldest first; a life in which nothing was counted leaves nothing."""
        closed = {}
        for name in sorted(name for name in os.listdir(self._folder) if _NAME.fullmatch(name)):
            path = self._folder / name
            totals = read_totals(path)
            if totals:
                closed[path.stem] = totals
            else:
                path.unlink()
        return closed


def _shown(incarnation: str, totals: dict[Key, int], *, closed: bool) -> CounterSet:
    by_connector: dict[str, dict[str, int]] = {}
    for (connector, event), total in totals.items():
        by_connector.setdefault(connector, {})[event] = total
    return CounterSet(incarnation=incarnation, totals=by_connector, closed=closed)
