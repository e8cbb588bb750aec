"""Who a message says it is from, in every form that some reader would show."""

import sys
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.dialogue.originators import LONGEST_VALUE, MOST_ADDRESSES, originators


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        (b" chris@contoso.com", ["chris@contoso.com"]),
        (b" Chris <chris@contoso.com>\r\n", ["chris@contoso.com"]),
        (b' "Scanner, 3rd floor" <scan@contoso.com>', ["scan@contoso.com"]),
        (b' "ceo@contoso.com" <x@fabrikam.com>', ["x@fabrikam.com"]),
        (b" =?utf-8?Q?ceo@contoso.com?= <x@fabrikam.com>", ["x@fabrikam.com"]),
        (b" chris@contoso.com (Chris (at home))", ["chris@contoso.com"]),
        (b" (ceo@contoso.com) chris@contoso.com", ["chris@contoso.com"]),
        (b" a@b,\r\n\tc@d", ["a@b", "c@d"]),
        (b" Group: a@b, C <c@d>;", ["a@b", "c@d"]),
        (b' "john doe"@contoso.com', ['"john doe"@contoso.com']),
        (b' <"a>b"@contoso.com>', ['"a>b"@contoso.com']),
        (b" <@relay,@other:chris@contoso.com>", ["chris@contoso.com"]),
        (b" < chris@contoso.com >", ["chris@contoso.com"]),
        (b" chris (x) @ (y) contoso.com", ["chris@contoso.com"]),
        (b" chris@[IPv6:2001:db8::1]", ["chris@[IPv6:2001:db8::1]"]),
        (b" Smith, Chris <chris@contoso.com>", ["chris@contoso.com"]),
        (b" J. Smith <chris@contoso.com>", ["chris@contoso.com"]),
        ("<jörg@contoso.com>".encode(), ["jörg@contoso.com"]),
    ],
)
def test_the_address_of_ordinary_forms(value: bytes, addresses: list[str]) -> None:
    assert originators(value) == tuple(addresses)


@pytest.mark.parametrize(
    "value",
    [
        b" ceo@contoso.com <x@fabrikam.com>",
        b" <x@fabrikam.com> <ceo@contoso.com>",
        b" <x@fabrikam.com> ceo@contoso.com",
        b" x@fabrikam.com ceo@contoso.com",
        b" x@fabrikam.com, ceo@contoso.com",
        b" x@fabrikam.com; ceo@contoso.com",
        b" ceo@contoso.com: x@fabrikam.com;",
    ],
)
def test_every_address_that_a_reader_may_show_counts(value: bytes) -> None:
    assert set(originators(value) or ()) == {"ceo@contoso.com", "x@fabrikam.com"}


@pytest.mark.parametrize(
    "value",
    [
        b" <x@fabrikam.com",
        b" x@fabrikam.com>",
        b' "x <a@b>',
        b" (x <a@b>",
        b" a@b) c",
        b" <a@b c@d>",
        b" <a@b,c@d>",
        b" <a@b <c@d>>",
        b" ceo@contoso .com",
        b" ceo@contoso. com",
        b" a@[1.2.3.4",
        b" a\\b <a@b>",
        b" a@b\xc2\xa0c@d",
        b" a@b (" + b"x" * LONGEST_VALUE + b")",
        b",".join(b"a@b%d" % number for number in range(MOST_ADDRESSES + 1)),
    ],
)
def test_what_readers_would_read_differently_is_not_guessed(value: bytes) -> None:
    assert originators(value) is None


@pytest.mark.parametrize("value", [b"", b" ", b" <>", b" undisclosed-recipients:;", b" ,", b" (nobody)"])
def test_no_address_is_an_answer(value: bytes) -> None:
    assert originators(value) == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b" scanner", "scanner"),
        (b" Scanner 3rd floor", "Scanner 3rd floor"),
        (b" <scanner>", "scanner"),
        (b' "ceo@contoso.com"', '"ceo@contoso.com"'),
    ],
)
def test_a_text_that_a_next_hop_might_complete_is_given_as_it_is(value: bytes, text: str) -> None:
    assert originators(value) == (text,)


USUAL = st.text("ab.-_ \t@<>\"'3", max_size=12)


@given(USUAL, USUAL)
def test_the_short_way_for_usual_forms_answers_as_the_long_way(name: str, address: str) -> None:
    for text in (
        f"{name}<{address}>",
        f'"{name}" <{address}>',
        f"{name}{address}",
        f" <a.{address}@b-{name}>",
    ):
        assert originators(text.encode()) == originators(f"(long){text}".encode())


@given(st.binary(max_size=200))
def test_any_octets_get_an_answer(value: bytes) -> None:
    found = originators(value)
    assert found is None or all(address.strip() for address in found)


@pytest.mark.parametrize(
    "unit", [b"(", b"()", b"a,", b"a ", b'"', b"<", b"<a>", b"@ ", b"\\", b"[", b". ", b"=?"]
)
def test_reading_takes_steps_in_proportion_to_the_length(unit: bytes) -> None:
    """Calls counted, not seconds: the same on any machine."""

    def steps(length: int) -> int:
        counted = 0

        def count(frame: FrameType, event: str, argument: object) -> None:
            nonlocal counted
            counted += 1

        sys.setprofile(count)
        try:
            originators((unit * length)[:length])
        finally:
            sys.setprofile(None)
        return counted

    assert steps(LONGEST_VALUE) < 16 * steps(LONGEST_VALUE // 8) + 100
