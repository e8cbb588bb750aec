"""Which settings got looser; every setting of the connector is ranked, or known not to be."""

import pytest

from gatepost.policy.analysis import settings
from gatepost.policy.analysis.settings import looser
from gatepost.policy.model.connector import ReceiveConnector
from tests.support.policies import RELAY

GIVEN = {"tls_certificate_name": "mx1", "max_logon_failures": 2, "auth_mechanism": ["Tls", "BasicAuth"]}
BASE = ReceiveConnector.model_validate(RELAY | GIVEN)
# Nobody can say which of two values of these allows more.
UNRANKED = {
    "transport_role",
    "fqdn",
    "tls_certificate_name",
    "tls_ciphers",
    "message_rate_source",
    "default_domain",
    "bounce_to",
}
NARROWER = {
    "max_inbound_connection": 10,
    "max_inbound_connection_per_source": 1,
    "max_inbound_connection_percentage_per_source": 1,
    "message_rate_limit": 5,
    "connection_rate_limit": 5,
    "recipient_rate_limit": 5,
    "max_recipients_per_message": 5,
    "max_protocol_errors": 1,
    "max_hop_count": 5,
    "max_local_hop_count": 1,
    "max_logon_failures": 1,
    "max_message_size": "1MB",
    "max_header_size": "1KB",
    "connection_timeout": "00:06:00",
    "connection_inactivity_timeout": "00:00:30",
    "tarpit_interval": "00:00:50",
    "auth_tarpit_interval": "00:00:50",
    "tls_minimum_version": "1.3",
    "require_tls": True,
    "require_ehlo_domain": True,
    "reject_reserved_top_level_recipient_domains": True,
    "reject_reserved_second_level_recipient_domains": True,
    "reject_single_label_recipient_domains": True,
    "bare_linefeed_rejection_enabled": True,
    "size_enabled": "EnabledWithoutValue",
    "pipelining_enabled": False,
    "chunking_enabled": False,
    "eight_bit_mime_enabled": False,
    "smtp_utf8_enabled": False,
    "enhanced_status_codes_enabled": False,
    "auth_mechanism": ("Tls",),
    "tolerances": ("long_line",),
    "allowed_sender_domains": ("contoso.com",),
    "allowed_recipient_domains": ("contoso.com",),
}


def test_every_setting_is_in_one_table() -> None:
    tables = [
        settings.SEEN_IN_WINNERS,
        settings.NO_ACCESS,
        settings.STRICTER_WHEN_ON,
        settings.STRICTER_WHEN_OFF,
        settings.LISTS,
        set(settings.FEWER_IS_STRICTER),
        set(settings.LARGER_IS_LOOSER),
        UNRANKED,
    ]
    assert sorted(field for table in tables for field in table) == sorted(ReceiveConnector.model_fields)
    switches = settings.STRICTER_WHEN_ON | settings.STRICTER_WHEN_OFF | settings.LISTS
    assert NARROWER.keys() == switches | settings.FEWER_IS_STRICTER.keys() | settings.LARGER_IS_LOOSER.keys()


@pytest.mark.parametrize("field", sorted(NARROWER))
def test_one_way_narrows_and_the_other_way_is_looser(field: str) -> None:
    narrow = BASE.model_copy(update={field: NARROWER[field]})
    assert list(looser(BASE, narrow)) == []
    assert list(looser(narrow, BASE)) == [field]


@pytest.mark.parametrize(("field", "off"), [("max_logon_failures", 0), ("max_local_hop_count", 0)])
def test_zero_is_no_limit(field: str, off: int) -> None:
    assert list(looser(BASE, BASE.model_copy(update={field: off}))) == [field]


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (["Tls", "BasicAuth"], ["Tls"]),
        (["Tls", "BasicAuth"], ["Tls", "BasicAuth", "BasicAuthRequireTLS"]),
        (["BasicAuth"], ["Tls", "BasicAuth", "BasicAuthRequireTLS"]),
        (["Tls", "BasicAuth", "BasicAuthRequireTLS"], ["Tls"]),
        (["Tls", "ExternalAuthoritative"], ["Tls"]),
        ([], ["Tls"]),
    ],
)
def test_fewer_ways_to_log_on_and_more_tls_are_stricter(wide: list[str], narrow: list[str]) -> None:
    before, after = (BASE.model_copy(update={"auth_mechanism": tuple(held)}) for held in (wide, narrow))
    assert list(looser(before, after)) == []
    assert list(looser(after, before)) == ["auth_mechanism"]


def test_one_way_to_log_on_instead_of_another_counts_as_looser_both_ways() -> None:
    secured = BASE.model_copy(update={"auth_mechanism": ("Tls", "ExternalAuthoritative")})
    assert list(looser(BASE, secured)) == list(looser(secured, BASE)) == ["auth_mechanism"]


def test_the_same_mechanisms_in_another_order_are_no_loosening() -> None:
    turned = BASE.model_copy(update={"auth_mechanism": ("BasicAuth", "Tls")})
    assert list(looser(BASE, turned)) == list(looser(turned, BASE)) == []


def test_an_announced_size_narrows_step_by_step() -> None:
    without, off = (
        BASE.model_copy(update={"size_enabled": size}) for size in ("EnabledWithoutValue", "Disabled")
    )
    assert list(looser(without, off)) == []
    assert list(looser(off, without)) == ["size_enabled"]


def test_unlimited_is_more_than_any_number() -> None:
    unlimited = BASE.model_copy(
        update={"message_rate_limit": "unlimited", "max_protocol_errors": "unlimited"}
    )
    assert list(looser(BASE, unlimited)) == ["message_rate_limit", "max_protocol_errors"]
    assert list(looser(unlimited, BASE)) == []


def test_what_cannot_be_ranked_counts_as_looser_both_ways() -> None:
    other = BASE.model_copy(update={"bounce_to": "postmaster@contoso.com"})
    assert list(looser(BASE, other)) == list(looser(other, BASE)) == ["bounce_to"]


def test_lists_of_domains_narrow_only_as_subsets() -> None:
    one = BASE.model_copy(update={"allowed_sender_domains": ("a.com", "b.com")})
    assert list(looser(one, BASE.model_copy(update={"allowed_sender_domains": ("b.com",)}))) == []
    assert list(looser(one, BASE.model_copy(update={"allowed_sender_domains": ("c.com",)}))) == [
        "allowed_sender_domains"
    ]


def test_words_and_what_the_winners_show_are_no_loosening() -> None:
    other = BASE.model_copy(
        update={"comment": "x", "remote_ip_ranges": ("10.0.0.0/8",), "permission_groups": ()}
    )
    assert list(looser(BASE, other)) == []
