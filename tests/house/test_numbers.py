"""The house's numbers: modules that fit a sitting, functions that fit a glance."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.support.house import shown, source_files, tree

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _modules() -> dict[str, int]:
    # A bare __init__.py would only flatter the median.
    return {
        shown(path): _lines(path)
        for path in source_files()
        if path.name != "__init__.py" or len(tree(path).body) > 2
    }


def _functions() -> Iterator[tuple[str, int]]:
    for path in source_files():
        for node in ast.walk(tree(path)):
            if isinstance(node, Function) and node.end_lineno is not None:
                yield f"{shown(path)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_no_module_is_longer_than_400_lines() -> None:
    assert {name: lines for name, lines in _modules().items() if lines > 400} == {}


def test_the_median_module_is_shorter_than_150_lines() -> None:
    assert median(_modules().values()) < 150


def test_no_function_is_longer_than_50_lines() -> None:
    assert {name: lines for name, lines in _functions() if lines > 50} == {}


def test_the_median_function_is_shorter_than_12_lines() -> None:
    assert median(lines for _, lines in _functions()) < 12


def test_no_module_is_named_for_nothing() -> None:
    nothing = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}
    assert [shown(path) for path in source_files() if nothing & {path.stem, path.parent.name}] == []
