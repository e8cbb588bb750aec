"""The published schema: in sync with the code, the same every time, one name for one operation."""

import json
import subprocess
import sys
from pathlib import Path

from gatepost_api.openapi import schema_text

COMMITTED = Path(__file__).parents[2] / "openapi" / "openapi.json"
METHODS = {"get", "put", "post", "patch", "delete"}


def operations() -> list[tuple[str, str, dict[str, object]]]:
    paths = json.loads(schema_text())["paths"]
    return [
        (path, method, operation)
        for path, item in paths.items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_the_committed_schema_is_what_the_code_says() -> None:
    told = "run: python -m gatepost_api.openapi > openapi/openapi.json"
    assert COMMITTED.read_text() == schema_text(), told


def test_another_process_prints_the_same_bytes() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "gatepost_api.openapi"], capture_output=True, text=True, timeout=60, check=True
    )
    assert printed.stdout == schema_text()


def test_operation_ids_are_unique_function_names() -> None:
    names = [str(operation["operationId"]) for _, _, operation in operations()]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() for name in names)


def test_every_operation_says_what_its_problems_look_like() -> None:
    for path, method, operation in operations():
        responses = operation["responses"]
        assert isinstance(responses, dict)
        assert "4XX" in responses, (path, method)
