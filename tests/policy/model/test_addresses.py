"""Addresses, ranges and bindings: one normal form, and refusals that say what to write."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.model.addresses import (
    PRIVATE,
    Address,
    Binding,
    inside,
    is_private,
    parse_address,
    parse_binding,
    parse_range,
    parse_unicast,
)
from gatepost.policy.model.errors import BadValue


@given(st.ip_addresses(v=4))
def test_every_v4_address_reads_as_the_standard_library_reads_it(ip: ipaddress.IPv4Address) -> None:
    assert parse_address(str(ip)) == Address(4, int(ip))
    assert str(Address(4, int(ip))) == str(ip)


@given(st.ip_addresses(v=6))
def test_every_v6_address_reads_as_the_standard_library_reads_it(ip: ipaddress.IPv6Address) -> None:
    mapped = ip.ipv4_mapped
    expected = Address(4, int(mapped)) if mapped else Address(6, int(ip))
    for text in (str(ip), ip.exploded.upper(), f"{ip}%eth0"):
        assert parse_address(text) == expected


@given(st.ip_addresses(v=4))
def test_a_mapped_client_is_the_v4_client(ip: ipaddress.IPv4Address) -> None:
    assert parse_address(f"::ffff:{ip}") == parse_address(str(ip))
    high, low = divmod(int(ip), 65536)
    assert parse_address(f"::FFFF:{high:x}:{low:x}%3") == parse_address(str(ip))


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4.5", "::g", "localhost", "1.2.3.4%x"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse_address(text)
    assert caught.value.value == text
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "lo", "hi"),
    [
        ("192.168.5.10", "192.168.5.10", "192.168.5.10"),
        ("192.168.5.10-192.168.5.20", "192.168.5.10", "192.168.5.20"),
        ("192.168.5.10 - 192.168.5.20", "192.168.5.10", "192.168.5.20"),
        ("192.168.5.1/24", "192.168.5.0", "192.168.5.255"),
        ("192.168.5.1/32", "192.168.5.1", "192.168.5.1"),
        ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
        ("0.0.0.0-255.255.255.255", "0.0.0.0", "255.255.255.255"),
        ("192.168.5.9(255.255.255.0)", "192.168.5.0", "192.168.5.255"),
        ("2001:db8::1", "2001:db8::1", "2001:db8::1"),
        ("2001:DB8::/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"),
        ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fe80::1%11", "fe80::1", "fe80::1"),
        ("2001:db8::5(ffff:ffff::)", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ],
)
def test_ranges_in_every_form_keep_the_typed_text(text: str, lo: str, hi: str) -> None:
    found = parse_range(text)
    assert (ipaddress.ip_address(lo), ipaddress.ip_address(hi)) == tuple(
        (ipaddress.IPv4Address if found.version == 4 else ipaddress.IPv6Address)(edge)
        for edge in (found.lo, found.hi)
    )
    assert found.text == text
    assert found.size == found.hi - found.lo + 1


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("192.168.5.10-192.168.5.9", "lower address first"),
        ("192.168.5.0/33", "0 to 32"),
        ("192.168.5.0/-1", "0 to 32"),
        ("192.168.5.0/x", "0 to 32"),
        ("2001:db8::/129", "0 to 128"),
        ("10.0.0.1-2001:db8::1", "both"),
        ("10.0.0.0(255.0.255.0)", "prefix length"),
        ("0.0.0.0", "0.0.0.0-255.255.255.255"),
        ("::ffff:10.0.0.0/104", "IPv4 range itself"),
        ("::ffff:10.0.0.1", "IPv4 range itself"),
        ("64:ff9b::10.0.0.1", "really have"),
        ("2002:a00:1::/48", "really have"),
        ("", "Write a single address"),
        ("printer.contoso.com", "Write a single address"),
        ("10.0.0.1" + " " * 2000 + "-10.0.0.2", "Write a single address"),
    ],
)
def test_a_range_that_cannot_be_meant_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse_range(text)
    assert hint in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0:25", Binding(Address(4, 0), None, 25)),
        ("[::]:587", Binding(Address(6, 0), None, 587)),
        ("10.1.1.1:2525", Binding(parse_address("10.1.1.1"), None, 2525)),
        ("{internal}:25", Binding(None, "internal", 25)),
    ],
)
def test_bindings_read_and_write_alike(text: str, expected: Binding) -> None:
    assert parse_binding(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text", ["0.0.0.0", "25", ":25", "0.0.0.0:0", "0.0.0.0:65536", "::1:25", "[10.0.0.1]:25", "{In}:25", "{}:25",
             "[::ffff:10.0.0.1]:25", "host:25", "*:25"]
)  # fmt: skip
def test_what_is_no_binding_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        parse_binding(text)


@pytest.mark.parametrize("text", ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1"])
def test_a_named_address_is_unicast(text: str) -> None:
    with pytest.raises(BadValue, match="unicast"):
        parse_unicast(text)


@given(st.ip_addresses(v=4))
def test_private_space_is_what_the_networks_say(ip: ipaddress.IPv4Address) -> None:
    networks = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "127.0.0.0/8",
    ]
    assert is_private(parse_address(str(ip))) == any(ip in ipaddress.ip_network(n) for n in networks)


def test_a_range_is_inside_a_table_only_as_a_whole() -> None:
    assert inside(parse_range("10.1.0.0/16"), PRIVATE)
    assert not inside(parse_range("10.255.255.0-11.0.0.0"), PRIVATE)
    assert not inside(parse_range("::/0"), PRIVATE)
