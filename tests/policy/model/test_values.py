"""Exchange's value forms: many spellings in, one canonical text out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.values import seconds, size_bytes, size_text, time_span


@given(st.integers(min_value=0, max_value=9999 * 86400))
def test_a_time_span_reads_back(total: int) -> None:
    assert seconds(time_span(total)) == total


@given(st.integers(min_value=0, max_value=2**40))
def test_a_size_reads_back(total: int) -> None:
    assert size_bytes(size_text(total)) == total


@pytest.mark.parametrize(
    ("text", "total"),
    [("00:05:00", 300), ("1.00:00:00", 86400), ("0:0:1", 1), ("10:00:00", 36000)],
)
def test_time_spans(text: str, total: int) -> None:
    assert seconds(text) == total


@pytest.mark.parametrize("text", ["5", "5:00", "00:60:00", "24:00:00", "00:00:-1", "5m", ""])
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="time span"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("36MB", 37748736),
        ("36 mb", 37748736),
        ("36 MB (37,748,736 bytes)", 37748736),
        ("65536", 65536),
        ("1GB", 2**30),
    ],
)
def test_sizes(text: str, total: int) -> None:
    assert size_bytes(text) == total


@pytest.mark.parametrize("text", ["", "MB", "1.5MB", "-1", "1 XB", "unlimited"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="size"):
        size_bytes(text)
