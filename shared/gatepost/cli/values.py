"""Words of the command line that are more than words: durations, times, `name=value` pairs."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import typer

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration_s(text: str) -> int:
    """Seconds of `90d`, `12h`, `30m` or `60s`."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r}: write a number and a unit, such as 90d, 12h or 30m")
    return int(found[1]) * _UNITS_S[found[2]]


def moment(text: str) -> str:
    """An RFC 3339 time; a date alone is its midnight, a time without a zone is UTC."""
    try:
        known = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: write a time such as 2026-12-24T18:00:00Z") from error
    return _rfc3339(known if known.tzinfo else known.replace(tzinfo=UTC))


def until(at: str | None, within: str | None, now: datetime | None = None) -> str | None:
    """The end that `--expires-at` or `--expires-in` names; None without either."""
    if at is not None and within is not None:
        raise typer.BadParameter("give --expires-at or --expires-in, not both")
    if within is not None:
        return _rfc3339((now or datetime.now(UTC)) + timedelta(seconds=duration_s(within)))
    return None if at is None else moment(at)


def before(span: str, now: datetime | None = None) -> str:
    """The time that lies `90d`, `12h`, `30m` or `60s` back."""
    return _rfc3339((now or datetime.now(UTC)) - timedelta(seconds=duration_s(span)))


def _rfc3339(known: datetime) -> str:
    return known.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def named(words: Iterable[str], example: str) -> dict[str, str]:
    """`site=fra` words as a mapping."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"{word!r}: write it as {example}")
        found[name] = value
    return found
