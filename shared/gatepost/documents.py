"""Fleet documents as text: YAML 1.2 scalars, duplicate keys refused with their line; JSON is YAML here.

PyYAML's own rules would read `10:00:00` as 36000, `no` as false and `010` as 8, and keep the last of two
equal keys: half of a list of ranges silently gone.
"""

import re
from collections.abc import Hashable
from typing import Any, ClassVar

import yaml
from pydantic import ValidationError

from gatepost.policy.model.document import FleetDocument
from gatepost.policy.model.errors import BadValue, Fault, faults

_MAX_DEPTH = 32


class DocumentError(ValueError):
    """A document that cannot be read; `faults` says everything that is wrong with it, and where."""

    def __init__(self, found: tuple[Fault, ...]) -> None:
        super().__init__(
            "; ".join(f"{fault.pointer or '/'}: {fault.detail} ({fault.value!r})" for fault in found)
        )
        self.faults = found


class _Loader(yaml.CSafeLoader):
    """The C loader with the YAML 1.2 core schema."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}  # type: ignore[misc]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                remedy = f"Line {key.start_mark.line + 1} repeats it; keep one."
                raise BadValue(key.value, "a key that stands twice", remedy)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_SCALARS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?", "-+0123456789."),
)
for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


def _fault(error: yaml.YAMLError | BadValue) -> Fault:
    if isinstance(error, BadValue):
        return Fault("", "bad-value", error.problem, error.value, error.remedy)
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return Fault(
        "", "not-yaml", f"not YAML: {getattr(error, 'problem', error)}", where, "Correct the text there."
    )


def parse_text(text: str) -> dict[str, Any]:
    """A YAML or JSON mapping as plain values. Raises DocumentError."""
    try:
        for depth, event in _depths(text):
            if depth > _MAX_DEPTH or isinstance(event, yaml.AliasEvent):
                raise BadValue(
                    "", "aliases or more than 32 levels", "Write the values out where they are used."
                )
        data = yaml.load(text, _Loader)  # noqa: S506 (a subclass of the safe loader)
    except (yaml.YAMLError, BadValue) as error:
        raise DocumentError((_fault(error),)) from error
    if data is None:  # of a template that failed, say: an empty fleet would close every relay
        remedy = "Write `connectors: []` if nothing shall listen."
        raise DocumentError((Fault("", "empty", "the document is empty", "", remedy),))
    if not isinstance(data, dict):
        fault = Fault("", "not-a-mapping", "not a fleet document", "", "Begin with keys such as connectors:.")
        raise DocumentError((fault,))
    return data


def _depths(text: str) -> Any:
    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        yield depth, event


def validate(data: object) -> FleetDocument:
    """The document of plain values. Raises DocumentError with every fault."""
    try:
        return FleetDocument.model_validate(data)
    except ValidationError as error:
        raise DocumentError(faults(error, data)) from error


def load_document(text: str) -> FleetDocument:
    """The document of a YAML or JSON text. Raises DocumentError."""
    return validate(parse_text(text))


def dump_document(document: FleetDocument) -> str:
    """A document as YAML, fields at their default left out: what `load_document` reads back as equal."""
    content = document.model_dump(mode="json", exclude_defaults=True)
    return yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=110)
