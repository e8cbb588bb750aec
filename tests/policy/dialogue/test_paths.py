"""The arguments of MAIL and RCPT."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.dialogue.rules.paths import parse


@pytest.mark.parametrize(
    ("text", "path", "parameters"),
    [
        ("FROM:<a@b>", "a@b", {}),
        ("from:<a@b> SIZE=5 body=8bitmime", "a@b", {"SIZE": "5", "BODY": "8bitmime"}),
        ("FROM:<>", "", {}),
        ("FROM: <a@b>", "a@b", {}),
        ("FROM:a@b SMTPUTF8", "a@b", {"SMTPUTF8": ""}),
        ('FROM:<"a b>c"@d>', '"a b>c"@d', {}),
        ('FROM:"a b"@d', '"a b"@d', {}),
        ("FROM:<@x,@y:a@b>", "@x,@y:a@b", {}),
        ("FROM:<a@b> AUTH=<>", "a@b", {"AUTH": "<>"}),
    ],
)
def test_arguments_in_the_forms_that_devices_send(text: str, path: str, parameters: dict[str, str]) -> None:
    found = parse(text, "FROM")
    assert found is not None
    assert (found.path, found.parameters) == (path, parameters)


@pytest.mark.parametrize(
    ("text", "tolerated"),
    [
        ("FROM:<a@b>", ()),
        ("FROM: <a@b>", ("space_before_path",)),
        ("FROM:< a@b >", ("space_before_path",)),
        ("FROM:a@b", ("path_without_brackets",)),
        ("FROM: a@b", ("space_before_path", "path_without_brackets")),
    ],
)
def test_departures_are_told(text: str, tolerated: tuple[str, ...]) -> None:
    found = parse(text, "FROM")
    assert found is not None
    assert (found.path, found.tolerated) == ("a@b", tolerated)


@pytest.mark.parametrize(
    "text",
    ["", "FROM", "FROM:", "TO:<a@b>", "FROM <a@b>", "FROM:<a@b", "FROM:<a@b>x", "FROM:<a@b> SIZE=1 size=2",
     "FROM:<a@b> =5", "FROM:<a@b> SIZE==5", "FROM:<a@b>\tSIZE=5", 'FROM:<"a@b>'],
)  # fmt: skip
def test_what_is_no_argument(text: str) -> None:
    assert parse(text, "FROM") is None


@given(st.text(max_size=60))
def test_no_text_makes_the_parser_fail(text: str) -> None:
    parse(f"FROM:{text}", "FROM")
