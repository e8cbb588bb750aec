"""Opening the spool's folder: finish what was interrupted, refuse, repair or take what is there."""

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import apsw

from gatepost_agent.spool.bodies import Bodies
from gatepost_agent.spool.disk import Disk
from gatepost_agent.spool.faults import Fault
from gatepost_agent.spool.salvage import adopt, copy_damaged, copy_readable
from gatepost_agent.spool.store import Store

DATABASE = "spool.db"
_WAL = DATABASE + "-wal"
_BUILDING = "building.db"
_REBUILT = "rebuilt.db"  # complete: it only has to take the other's place
_DAMAGED = "damaged-"
_DAMAGED_KEPT = 3  # the last ones

DAMAGE = (apsw.CorruptError, apsw.NotADBError)


class Place(NamedTuple):
    """Where the spool lives, and how tests get at it."""

    folder: Path
    disk: Disk
    bodies: Bodies
    synchronous: str
    fault: Fault


class Opened(NamedTuple):
    """A sound store, and what was found wrong on the way, as sentences for operators."""

    store: Store
    problems: tuple[str, ...] = ()


def open_store(place: Place) -> Opened:
    """Open, create or repair. Raises SpoolInUse, VersionRefused, OSError, apsw.Error."""
    place.disk.make_folder(place.folder)
    place.bodies.prepare()
    _finish_interrupted(place)
    is_new = _create_if_missing(place)
    if is_new and place.bodies.ids():
        return rebuild(place, f"{DATABASE} is missing")
    try:
        store = _store(place, DATABASE)
    except DAMAGE as error:
        return rebuild(place, f"{DATABASE} is damaged: {error}")
    return _checked(place, store)


def _checked(place: Place, store: Store) -> Opened:
    try:
        damage = store.damage()
        if damage is None:
            store.read_totals()
            store.forget_old_imports()
            _remove_orphans(place, store)
            return Opened(store)
    except DAMAGE as error:
        damage = str(error)
    except BaseException:
        store.close()
        raise
    store.close()
    return rebuild(place, f"{DATABASE} is damaged: {damage}")


def _remove_orphans(place: Place, store: Store) -> None:
    # Never answered 250, or already delivered: the row is the commit point.
    place.bodies.remove(sorted(place.bodies.ids() - store.ids_in_files()))


def _create_if_missing(place: Place) -> bool:
    path = place.folder / DATABASE
    try:
        return place.disk.size(path) == 0 and _WAL not in place.disk.names(place.folder)
    except FileNotFoundError:
        place.disk.create(path).close()  # for the owner only; SQLite gives its other files the same mode
        place.disk.sync_folder(place.folder)
        return True


def _store(place: Place, name: str) -> Store:
    path = str(place.folder / name)
    return Store(path, place.disk.vfs, synchronous=place.synchronous, fault=place.fault)


def rebuild(place: Place, reason: str, distrusted: Store | None = None) -> Opened:
    """Copy what can be read into a new file, set the old one aside, take whole bodies without a row back in.

    Nothing is written to the old file. `distrusted`: the store is sound and open, but its file no longer takes
    syncs; it is read as that connection sees it, without the transaction that failed, and then removed. The caller
    closes it. Raises OSError, apsw.Error.
    """
    _remove(place, _BUILDING)
    place.disk.create(place.folder / _BUILDING).close()
    with closing(_store(place, _BUILDING)) as new:
        if distrusted is None:
            copied = copy_damaged(str(place.folder / DATABASE), place.disk.vfs, new)
        else:
            copied = copy_readable(distrusted.connection, new)
        is_sound = distrusted is not None and copied.whole
        lost_rows = set() if is_sound else place.bodies.ids() - copied.ids
        adopted = adopt(place.bodies.whole(iter(sorted(lost_rows))), new)
        new.checkpoint(truncate=True)
    place.disk.unlink(place.folder / f"{_BUILDING}-wal")
    place.disk.rename(place.folder / _BUILDING, place.folder / _REBUILT)
    place.disk.sync_folder(place.folder)
    aside = _finish_interrupted(place)
    if is_sound:
        _remove_aside(place, aside)
        return _checked(place, _store(place, DATABASE))
    problem = (
        f"{reason}; set aside as {aside}; {len(copied.ids)} messages were read from it and "
        f"{len(adopted)} taken back from body files (these may be delivered again)"
    )
    opened = _checked(place, _store(place, DATABASE))
    return Opened(opened.store, (problem, *opened.problems))


def _finish_interrupted(place: Place) -> str:
    """Let a complete rebuilt file take the old one's place; returns the folder that has the old one, "" if none."""
    names = place.disk.names(place.folder)
    if _REBUILT not in names:
        _remove(place, _BUILDING)
        return ""
    numbers = [int(name.removeprefix(_DAMAGED)) for name in names if name.startswith(_DAMAGED)]
    for number in sorted(numbers)[: -(_DAMAGED_KEPT - 1)]:
        _remove_aside(place, f"{_DAMAGED}{number}")
    aside = f"{_DAMAGED}{max(numbers, default=0) + 1}"
    place.disk.make_folder(place.folder / aside)
    for name in (_WAL, DATABASE):
        if name in names:
            place.disk.rename(place.folder / name, place.folder / aside / name)
    place.disk.sync_folder(place.folder / aside)
    place.disk.sync_folder(place.folder)  # before the new file has the name: it must never meet the old WAL
    place.disk.rename(place.folder / _REBUILT, place.folder / DATABASE)
    place.disk.sync_folder(place.folder)
    return aside


def _remove(place: Place, name: str) -> None:
    for suffix in ("-wal", "-journal", ""):
        place.disk.unlink(place.folder / f"{name}{suffix}")


def _remove_aside(place: Place, aside: str) -> None:
    for name in (_WAL, DATABASE):
        place.disk.unlink(place.folder / aside / name)
    place.disk.remove_folder(place.folder / aside)
