"""Values that cannot be what their field needs, and where in a document they stand."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError


class BadValue(ValueError):
    """A configured value that is refused.

    value: what was given, as text. remedy: what to write instead, as one sentence. The field's
    place is known to whoever validates the document (`faults`), not to the value; `field` names
    it where a whole object was looked at.
    """

    def __init__(self, value: object, problem: str, remedy: str, *, field: str = "") -> None:
        super().__init__(f"{problem}: {value!r}. {remedy}")
        self.value = str(value)
        self.problem = problem
        self.remedy = remedy
        self.field = field


class Fault(NamedTuple):
    """One thing wrong with a document. `pointer` is an RFC 6901 JSON pointer into what was given."""

    pointer: str
    type: str
    detail: str
    value: str
    remedy: str


_REMEDIES = {
    "extra_forbidden": "Remove this field, or check its spelling.",
    "missing": "Add this field.",
    "literal_error": "Use one of the values listed.",
    "bool_type": "Write true or false.",
    "bool_parsing": "Write true or false.",
    "tuple_type": "Write a list: [a, b].",
    "string_type": "Write text; put quotes around what looks like a number.",
}
_SHOWN = 200


def faults(error: ValidationError, data: object) -> tuple[Fault, ...]:
    """Everything wrong with `data`, in document order. `data` is what was validated."""
    found = tuple(_fault(dict(item), data) for item in error.errors(include_url=False))
    # pydantic counts only the good items of a list, so a list of bad ones is called too short as well.
    inner = {fault.pointer.rpartition("/")[0] for fault in found}
    return tuple(fault for fault in found if fault.type != "too-short" or fault.pointer not in inner)


def _fault(item: dict[str, Any], data: object) -> Fault:
    cause = item.get("ctx", {}).get("error")
    pointer = _pointer(item["loc"], data, missing=item["type"] == "missing")
    if isinstance(cause, BadValue):
        pointer += f"/{cause.field}" if cause.field else ""
        return Fault(pointer, "bad-value", cause.problem, cause.value[:_SHOWN], cause.remedy)
    remedy = _REMEDIES.get(item["type"], "Give a value that this field takes.")
    return Fault(pointer, item["type"].replace("_", "-"), item["msg"], _shown(item["input"]), remedy)


def _shown(value: object) -> str:
    return "" if isinstance(value, Mapping | list | tuple) else str(value)[:_SHOWN]


def _pointer(loc: Sequence[int | str], data: object, *, missing: bool) -> str:
    """The place as a JSON pointer: pydantic's own steps (union tags) are left out."""
    parts: list[str] = []
    for at, step in enumerate(loc):
        listed = isinstance(data, list | tuple) and isinstance(step, int) and step < len(data)
        if listed or (isinstance(data, Mapping) and step in data):
            data = data[step]  # type: ignore[index]
        elif not (missing and at == len(loc) - 1):
            continue
        parts.append(str(step).replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{part}" for part in parts)
