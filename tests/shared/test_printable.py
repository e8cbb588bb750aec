"""What could steer a terminal is escaped, whoever wrote it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.printable import printable


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("250 2.1.5 OK", "250 2.1.5 OK"),
        ("Grüße", "Grüße"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("two\r\nlines", r"two\r\nlines"),
        (b"\xff\xfe", r"\xff\xfe"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
    ],
)
def test_text_is_escaped_where_it_is_not_printable(given: str | bytes, shown: str) -> None:
    assert printable(given) == shown


@given(st.text() | st.binary())
def test_whatever_comes_out_is_printable(text: str | bytes) -> None:
    assert printable(text).isprintable()
