"""Mail addresses and domains: normal forms, and which addresses could be read as a second one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.mailboxes import Mailbox, parse_domain, parse_mailbox

_LOCAL = st.from_regex(r"[a-z0-9_+=.-]{1,20}", fullmatch=True).filter(
    lambda t: ".." not in t and t.strip(".") == t
)
_LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@given(_LOCAL, st.lists(_LABEL, min_size=1, max_size=4))
def test_an_ordinary_address_is_plain_and_its_domain_lower_case(local: str, labels: list[str]) -> None:
    domain = ".".join(labels)
    assert parse_mailbox(f"{local}@{domain.upper()}") == Mailbox(local, domain, plain=True)


_LONG = f"x@{(60 * 'a' + '.') * 5}co"  # a domain of over 255 octets


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("a%out@ours.com", "ours.com"),
        ("out!a@ours.com", "ours.com"),
        ('"a@out"@ours.com', "ours.com"),
        ("@x.com:a@ours.com", "ours.com"),
        ("@x.com,@y.com:a@ours.com", "ours.com"),
        ("a@[10.0.0.1]", "[10.0.0.1]"),
        ("a@[IPv6:2001:DB8::1]", "[IPv6:2001:db8::1]"),
        ("a@[ipv6:2001:DB8::1]", "[IPv6:2001:db8::1]"),
        ("a@[2001:DB8::1]", "[IPv6:2001:db8::1]"),
        ("a@ours.com.", "ours.com"),
        ("a@ours\uff0ecom", "ours.com"),
        ("a@ours\u3002com", "ours.com"),
        ("a@m\u00fcnchen.de", "xn--mnchen-3ya.de"),
        ("\u00fc@ours.com", "ours.com"),
        ("docomo.@ours.com", "ours.com"),
    ],
)
def test_an_address_that_could_be_read_twice_is_never_plain(text: str, domain: str) -> None:
    found = parse_mailbox(text)
    assert found.domain == domain
    assert not found.plain


@pytest.mark.parametrize(
    "text",
    [_LONG,
     ".x@b.com", "", "@", "a", "a@", "@b", "a b@c.com", "a..b@c.com@", "a@b..c", "a@-b.com", "a@b.com>",
     "<a@b.com>", "a\x00@b.com",
     "a@b.com\r\nRCPT TO:<x@y>", "a" * 65 + "@b.com", "a@" + "b" * 64 + ".com", '"a\r"@b.com', "a@[1.2.3]",
     "a@[10.IPv6:0.0.1]",
     "a@stra\u00dfe.de"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        parse_mailbox(text)


@given(st.text(max_size=40))
def test_no_text_makes_the_parser_fail_in_another_way(text: str) -> None:
    try:
        found = parse_mailbox(text)
    except BadValue:
        return
    assert "\r" not in str(found)
    assert "\n" not in str(found)
    assert found.domain == found.domain.lower()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Contoso.COM", "contoso.com"),
        ("m\u00fcnchen.de", "xn--mnchen-3ya.de"),
        ("a_b.contoso.com", "a_b.contoso.com"),
    ],
)
def test_domains_are_lower_case_a_labels(text: str, expected: str) -> None:
    assert parse_domain(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", "a..b", "a b", "*.contoso.com", "stra\u00dfe.de", "a\uff0eb", "x" * 64, "contoso.com\n."],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        parse_domain(text)
