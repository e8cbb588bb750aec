"""Exchange's value forms, each with one canonical text: time spans, sizes, `unlimited`, names of files.

The models keep canonical text; what a session needs as numbers is worked out once, when compiled.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gatepost.policy.model.addresses import parse_address, parse_binding
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.mailboxes import parse_domain, parse_mailbox

_SPAN = re.compile(r"(?:(\d{1,4})\.)?(\d{1,2}):(\d{1,2}):(\d{1,2})", re.ASCII)
_SIZE = re.compile(r"(\d{1,15})\s*(TB|GB|MB|KB|B|)(?:\s*\([\d,. ]+ bytes\))?", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def seconds(span: str) -> int:
    """The length of a canonical time span, in seconds."""
    found = _SPAN.fullmatch(span)
    if found is None:
        raise BadValue(span, "not a time span", "Write it as hours:minutes:seconds, such as 00:05:00.")
    days, hours, minutes, secs = (int(part or 0) for part in found.groups())
    if hours > 23 or minutes > 59 or secs > 59:
        raise BadValue(span, "not a time span", "Write days before a dot: 1.00:00:00 is one day.")
    return ((days * 24 + hours) * 60 + minutes) * 60 + secs


def time_span(total: int) -> str:
    """The canonical text of a number of seconds."""
    minutes, secs = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours:02}:{minutes:02}:{secs:02}"
    return f"{days}.{clock}" if days else clock


def size_bytes(size: str) -> int:
    """The number of bytes of a size such as `36MB` or `36 MB (37,748,736 bytes)`."""
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        raise BadValue(size, "not a size", "Write a number with B, KB, MB or GB, such as 36MB.")
    return int(found[1]) * _UNITS[found[2].upper()]


def size_text(total: int) -> str:
    """The canonical text of a number of bytes: the largest unit that divides it."""
    for unit in ("GB", "MB", "KB"):
        if total and total % _UNITS[unit] == 0:
            return f"{total // _UNITS[unit]}{unit}"
    return f"{total}B"


def _canonical_span(value: object) -> object:
    if not isinstance(value, str):
        raise BadValue(value, "not a time span", 'Write it in quotes as hours:minutes:seconds: "00:05:00".')
    return time_span(seconds(value.strip()))


def _canonical_size(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadValue(value, "not a size", "Write a number with B, KB, MB or GB, such as 36MB.")
    return size_text(size_bytes(str(value)))


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise BadValue(str(value).lower(), "not a number", "Write a whole number.")
    return value


def _limit(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else _no_boolean(value)


def _version_text(value: object) -> object:
    """YAML reads the version 1.2 as a number."""
    return str(value) if isinstance(value, float) else value


def _file_name(value: str) -> str:
    if not _FILE.fullmatch(value):
        raise BadValue(value, "not the name of a file", "Give the name alone, without folder or slash.")
    return value


def _note(value: str) -> str:
    if not value.isprintable():
        raise BadValue(value, "a text with control characters", "Write it on one line.")
    return value


def between(low: int, high: int) -> AfterValidator:
    """A check that a time span lies within bounds given in seconds."""

    def check(span: str) -> str:
        if not low <= seconds(span) <= high:
            remedy = f"Give a time from {time_span(low)} to {time_span(high)}."
            raise BadValue(span, "a time span out of bounds", remedy)
        return span

    return AfterValidator(check)


def between_sizes(low: int, high: int) -> AfterValidator:
    """A check that a size lies within bounds given in bytes."""

    def check(size: str) -> str:
        if not low <= size_bytes(size) <= high:
            raise BadValue(
                size, "a size out of bounds", f"Give a size from {size_text(low)} to {size_text(high)}."
            )
        return size

    return AfterValidator(check)


TimeSpan = Annotated[str, BeforeValidator(_canonical_span)]
Size = Annotated[str, BeforeValidator(_canonical_size)]
Unlimited = Literal["unlimited"]
LIMIT = BeforeValidator(_limit)
NUMBER = BeforeValidator(_no_boolean)
Limit = Annotated[Annotated[int, Field(ge=1, le=2147483647)] | Unlimited, LIMIT]
TlsVersion = Annotated[Literal["1.0", "1.1", "1.2", "1.3"], BeforeValidator(_version_text)]
FileName = Annotated[str, AfterValidator(_file_name)]
Note = Annotated[str, Field(max_length=256), AfterValidator(_note)]
Domain = Annotated[str, AfterValidator(parse_domain)]
MailAddress = Annotated[str, AfterValidator(lambda text: str(parse_mailbox(text)))]
BindingText = Annotated[str, AfterValidator(lambda text: str(parse_binding(text)))]
AddressText = Annotated[str, AfterValidator(lambda text: str(parse_address(text)))]
