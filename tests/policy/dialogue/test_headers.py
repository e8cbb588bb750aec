"""What we write into a header and how we read single fields."""

import calendar
import re
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.dialogue.headers import (
    HeaderFamily,
    firewall,
    format_date,
    is_local_hop,
    message_id,
    protocol_name,
    received_line,
)


def received(helo: str, *, client: str = "192.168.5.10", tls: str = "") -> bytes:
    return received_line(
        helo=helo,
        client=client,
        by="mx1.contoso.com",
        local="10.1.1.1",
        protocol="ESMTPS",
        queue_id="4711",
        now=1470435881.9,
        tls=tls,
    )


def test_the_received_line_names_both_ends_protocol_id_and_time() -> None:
    assert received("printer-3", tls="version=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384") == (
        b"Received: from printer-3 ([192.168.5.10])\r\n"
        b"\tby mx1.contoso.com ([10.1.1.1]) with ESMTPS"
        b" (version=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384)\r\n"
        b"\tid 4711; Fri, 5 Aug 2016 22:24:41 +0000\r\n"
    )


def test_an_ipv6_client_is_written_as_a_literal_and_stands_in_for_a_missing_name() -> None:
    assert received("", client="2001:db8::10").startswith(
        b"Received: from [IPv6:2001:db8::10] ([IPv6:2001:db8::10])\r\n"
    )


@given(st.text(max_size=400), st.text(max_size=60))
def test_no_client_text_can_leave_its_place_in_the_received_line(helo: str, tls: str) -> None:
    line = received(helo, tls=tls)
    assert re.fullmatch(rb"[\x20-\x7e\t]+(\r\n\t[\x20-\x7e]+){2}\r\n", line)
    assert max(map(len, line.split(b"\r\n"))) < 998
    assert line.count(b"(") == line.count(b")") == 2 + bool(tls)
    assert line.count(b";") == 1
    parsed = BytesHeaderParser().parsebytes(line + b"\r\n")
    assert list(parsed.keys()) == ["Received"]
    assert is_local_hop(line.partition(b":")[2], frozenset({"mx1.contoso.com"}))


@given(st.integers(0, 253402300799), st.floats(0, 0.999))
def test_dates_are_rfc_5322_in_utc(second: int, fraction: float) -> None:
    text = format_date(second + fraction)
    assert re.fullmatch(r"\w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d \+0000", text)
    parsed = parsedate_to_datetime(text)
    assert calendar.timegm(parsed.timetuple()) - second in (0, 1)
    assert text.startswith(datetime.fromtimestamp(second, UTC).strftime("%a")) or fraction > 0.99


@pytest.mark.parametrize(
    ("name", "extended", "tls", "authenticated", "utf8"),
    [
        ("SMTP", False, False, False, False),
        ("ESMTP", True, False, False, False),
        ("ESMTPS", True, True, False, False),
        ("ESMTPA", True, False, True, False),
        ("ESMTPSA", True, True, True, False),
        ("UTF8SMTPSA", True, True, True, True),
    ],
)
def test_protocol_names(name: str, extended: bool, tls: bool, authenticated: bool, utf8: bool) -> None:
    assert protocol_name(extended=extended, tls=tls, authenticated=authenticated, utf8=utf8) == name


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b" <abc@x>\r\n", "<abc@x>"),
        (b"\r\n <abc@x>", "<abc@x>"),
        (b" (made up) <a.b/c?d@[1.2.3.4]>", "<a.b/c?d@[1.2.3.4]>"),
        (b" abc@x", None),
        (b" <a b@x>", None),
        (b" <a\r\n b@x>", None),
        (b" <a\0b@x>", None),
        (b" <\xc3\xa9@x>", None),
        (b" <>", None),
        (b" <a<b@x>", "<b@x>"),
        (b" <" + b"a" * 251 + b">", None),
        (b" <" + b"a" * 250 + b">", "<" + "a" * 250 + ">"),
    ],
)
def test_message_ids_are_given_only_when_a_reply_can_show_them(value: bytes, found: str | None) -> None:
    assert message_id(value) == found


@pytest.mark.parametrize(
    ("value", "local"),
    [
        (b" from a by mx1.contoso.com with ESMTP; now", True),
        (b" from a (b)\r\n\tBY\r\n MX1.Contoso.Com. with SMTP", True),
        (b" from x;by mx1.contoso.com;", True),
        (b"by mx1.contoso.com", True),
        (b" from mx1.contoso.com by mx2.contoso.com", False),
        (b" from a by mx1.contoso.com.evil.example", False),
        (b" from a standby mx1.contoso.com", False),
        (b" from a by", False),
        (b"", False),
    ],
)
def test_a_hop_is_local_when_one_of_our_names_took_the_message(value: bytes, local: bool) -> None:
    assert is_local_hop(value, frozenset({"mx1.contoso.com"})) is local


FAMILIES = {
    b"received": HeaderFamily.ROUTING,
    b"resent-from": HeaderFamily.ROUTING,
    b"resent-message-id": HeaderFamily.ROUTING,
    b"x-ms-exchange-organization-scl": HeaderFamily.ORGANIZATION,
    b"x-ms-exchange-forest-rules": HeaderFamily.FOREST,
    b"received-spf": HeaderFamily.NONE,
    b"x-received": HeaderFamily.NONE,
    b"x-resent-from": HeaderFamily.NONE,
    b"x-ms-exchange-crosstenant-id": HeaderFamily.NONE,
    b"from": HeaderFamily.NONE,
}
EVERY = [HeaderFamily(bits) for bits in range(8)]


@pytest.mark.parametrize("strip", EVERY)
@pytest.mark.parametrize("name", FAMILIES)
def test_the_firewall_removes_the_families_without_a_right_and_nothing_else(
    name: bytes, strip: HeaderFamily
) -> None:
    pattern = firewall(strip)
    removed = pattern is not None and pattern.match(name) is not None
    assert removed == bool(FAMILIES[name] & strip)
