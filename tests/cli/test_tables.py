"""Cells and times for people."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from gatepost.cli.tables import ago, moment, pairs, table, words

NOW = datetime(2026, 12, 24, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", "-"),
        ([], "-"),
        ({}, "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (["a", "b"], "a, b"),
        ({"site": "fra", "n": 1}, "site=fra, n=1"),
        ("\x1b[31m", r"\x1b[31m"),
    ],
)
def test_json_values_read_as_words(value: object, text: str) -> None:
    assert words(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5, "5 s ago"),
        (119, "119 s ago"),
        (600, "10 min ago"),
        (7200, "2 h ago"),
        (864000, "10 d ago"),
        (-600, "in 10 min"),
    ],
)
def test_times_read_as_distances(seconds: int, text: str) -> None:
    assert ago((NOW - timedelta(seconds=seconds)).isoformat(), NOW) == text


def test_what_is_no_time_is_a_dash() -> None:
    assert ago(None) == moment("soon") == "-"


def _shown(renderable: object) -> str:
    console = Console(width=80, markup=False, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_what_looks_like_markup_is_text() -> None:
    assert "[red]x[/red]" in _shown(table([{"a": {"b": "[red]x[/red]"}}], [("A", "a.b")]))
    assert "[bold]" in _shown(pairs({"name": "[bold]"}))


def test_a_column_may_be_missing_in_a_row() -> None:
    assert "-" in _shown(table([{"a": None}], [("A", "a.b.c")]))
