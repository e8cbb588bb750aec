"""What differs between two fleet documents, object by object; what goes away comes first, where nobody misses it."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from gatepost.policy.analysis.ranges import difference, ranges
from gatepost.policy.analysis.shown import Shown
from gatepost.policy.model.addresses import parse_range
from gatepost.policy.model.base import Configured
from gatepost.policy.model.connector import RangeEntry, ReceiveConnector
from gatepost.policy.model.document import FleetDocument

Action = Literal["removed", "changed", "added"]
_ORDER: tuple[Action, ...] = ("removed", "changed", "added")
_PARTS = {
    "connectors": "name",
    "accepted_domains": "domain",
    "send_connectors": "name",
    "tests": "name",
    "assertions": "name",
}


class FieldChange(Shown):
    """A setting before and after, in the document's own form; ranges are in `ranges_added` and `ranges_removed`."""

    field: str
    before: Any
    after: Any


class Change(Shown):
    """An object that is removed, changed or added. part: the document's list it is in.

    ranges_added, ranges_removed: addresses, whatever the notation, that a connector holds only after or only before.
    """

    part: str
    name: str
    action: Action
    fields: tuple[FieldChange, ...] = ()
    ranges_added: tuple[str, ...] = ()
    ranges_removed: tuple[str, ...] = ()


def changes(old: FleetDocument, new: FleetDocument) -> tuple[Change, ...]:
    """Every object that differs: removed ones first, then changed, then added."""
    found = [change for part, key in _PARTS.items() for change in _of_part(part, key, old, new)]
    return tuple(sorted(found, key=lambda change: _ORDER.index(change.action)))


def _of_part(part: str, key: str, old: FleetDocument, new: FleetDocument) -> Iterator[Change]:
    before: dict[str, Configured] = {getattr(item, key): item for item in getattr(old, part)}
    after: dict[str, Configured] = {getattr(item, key): item for item in getattr(new, part)}
    for name, item in before.items():
        if name not in after:
            yield _change(part, name, "removed", item, None)
    for name, item in after.items():
        if name not in before:
            yield _change(part, name, "added", None, item)
        elif item != before[name]:
            yield _change(part, name, "changed", before[name], item)


def _change(part: str, name: str, action: Action, old: Configured | None, new: Configured | None) -> Change:
    held = [ranges(parse_range(text) for text in _texts(item)) for item in (old, new)]
    return Change(
        part=part,
        name=name,
        action=action,
        fields=tuple(_fields(old, new)) if old and new else (),
        ranges_added=tuple(difference(held[1], held[0]).texts()),
        ranges_removed=tuple(difference(held[0], held[1]).texts()),
    )


def _texts(item: Configured | None) -> Iterable[str]:
    if not isinstance(item, ReceiveConnector):
        return ()
    return (given if isinstance(given, str) else given.range for given in item.remote_ip_ranges)


def _fields(old: Configured, new: Configured) -> Iterator[FieldChange]:
    for field in type(new).model_fields:
        before, after = getattr(old, field), getattr(new, field)
        if before == after:
            continue
        if field == "remote_ip_ranges":
            # Addresses are told apart; here only entries with a note or an end, which a text does not show.
            before, after = _entries(before), _entries(after)
            if before == after:
                continue
        yield FieldChange(field=field, before=_plain(before), after=_plain(after))


def _entries(listed: tuple[str | RangeEntry, ...]) -> tuple[RangeEntry, ...]:
    return tuple(given for given in listed if not isinstance(given, str))


def _plain(value: Any) -> Any:
    """A value as JSON would have it."""
    if isinstance(value, Configured):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value
