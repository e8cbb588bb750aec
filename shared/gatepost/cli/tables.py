"""Tables and words for people: cells from JSON values, times as distances, foreign text escaped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from gatepost.cli.answers import Answer
from gatepost.printable import printable

_COLOURS = {
    "ok": "green",
    "settled": "green",
    "running": "green",
    "applied": "green",
    "active": "green",
    "pending": "yellow",
    "offered": "yellow",
    "applying": "yellow",
    "degraded": "yellow",
    "warning": "yellow",
    "held": "yellow",
    "failing": "red",
    "blocked": "red",
    "blocking": "red",
    "rejected": "red",
    "rolled_back": "red",
    "banned": "red",
    "offline": "red",
}
Column = tuple[str, str | Callable[[Mapping[str, Any]], object]]


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], *, title: str = "") -> Table:
    """Rows of JSON objects; a column is its heading and a key (`assignment.state`) or a function of the row."""
    found = Table(
        box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False, show_edge=False
    )
    for heading, _ in columns:
        found.add_column(heading, overflow="fold")
    for row in rows:
        found.add_row(*(cell(_picked(row, pick)) for _, pick in columns))
    return found


def listing(rows: list[dict[str, Any]], columns: Sequence[Column], nothing: str) -> Answer:
    """Rows as an answer; without any, people read why there is no table."""
    return Answer(rows, table(rows, columns)) if rows else Answer(rows, note=nothing)


def pairs(record: Mapping[str, object]) -> Table:
    """One object as a list: `Name : value`, as PowerShell's Format-List shows it."""
    found = Table(box=None, show_header=False, pad_edge=False)
    found.add_column(no_wrap=True)
    found.add_column(overflow="fold")
    for name, value in record.items():
        found.add_row(Text(name), Text(": ") + cell(value))
    return found


def _picked(row: Mapping[str, Any], pick: str | Callable[[Mapping[str, Any]], object]) -> object:
    if callable(pick):
        return pick(row)
    value: object = row
    for step in pick.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def cell(value: object) -> Text:
    """A JSON value as people write it; states have their colour."""
    text = words(value)
    return Text(text, style=_COLOURS.get(text, ""))


def words(value: object) -> str:
    match value:
        case None | "" | []:
            return "-"
        case Mapping() if not value:
            return "-"
        case True:
            return "yes"
        case False:
            return "no"
        case Mapping():
            return ", ".join(f"{printable(str(key))}={words(item)}" for key, item in value.items())
        case list() | tuple():
            return ", ".join(words(item) for item in value)
        case _:
            return printable(str(value))


def moment(text: object) -> str:
    """An RFC 3339 time in UTC, to the second."""
    known = parse_moment(text)
    return f"{known:%Y-%m-%d %H:%M:%S}Z" if known else "-"


def ago(text: object, now: datetime | None = None) -> str:
    """How long ago, or in how long: `12 s ago`, `in 3 h`."""
    known = parse_moment(text)
    if known is None:
        return "-"
    seconds = ((now or datetime.now(UTC)) - known).total_seconds()
    size = span(abs(seconds))
    return f"{size} ago" if seconds >= 0 else f"in {size}"


def span(seconds: float) -> str:
    """A length of time in its largest unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def parse_moment(text: object) -> datetime | None:
    try:
        known = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return known if known.tzinfo else known.replace(tzinfo=UTC)
