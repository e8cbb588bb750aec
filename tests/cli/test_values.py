"""Durations, times and pairs as people type them."""

from datetime import UTC, datetime

import pytest
import typer

from gatepost.cli.values import duration_s, moment, named, until

NOW = datetime(2026, 12, 24, 18, tzinfo=UTC)


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60), ("30m", 1800), ("12h", 43200), ("90d", 7776000)])
def test_durations_have_a_unit(text: str, seconds: int) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1w", "1 hour", "٣h"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        duration_s(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00Z"),
        ("2026-12-24T18:00:00+01:00", "2026-12-24T17:00:00Z"),
        ("2026-12-24 18:00", "2026-12-24T18:00:00Z"),
        ("2026-12-24", "2026-12-24T00:00:00Z"),
    ],
)
def test_times_become_utc(text: str, shown: str) -> None:
    assert moment(text) == shown


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="tomorrow"):
        moment("tomorrow")


def test_an_end_is_a_time_or_a_distance() -> None:
    assert until(None, "12h", NOW) == "2026-12-25T06:00:00Z"
    assert until("2026-12-31", None, NOW) == "2026-12-31T00:00:00Z"
    assert until(None, None, NOW) is None
    with pytest.raises(typer.BadParameter):
        until("2026-12-31", "12h", NOW)


def test_pairs_have_a_name_and_a_value() -> None:
    assert named(["site=fra", "rack=a=b"], "site=fra") == {"site": "fra", "rack": "a=b"}
    for wrong in ("site", "=fra", "site="):
        with pytest.raises(typer.BadParameter, match="site=fra"):
            named([wrong], "site=fra")
