"""The Receive connector's model: defaults, combinations, what is refused and why."""

from typing import Any

import pytest
from pydantic import ValidationError

from gatepost.policy.model.connector import RangeEntry, ReceiveConnector
from gatepost.policy.model.errors import faults
from gatepost.policy.model.rights import ANONYMOUS, EXTERNALLY_SECURED, Right, effective
from gatepost.policy.model.unsupported import UNSUPPORTED
from tests.support.policies import RELAY


def connector(**settings: Any) -> ReceiveConnector:
    return ReceiveConnector.model_validate({"name": "Relay", "bindings": ["0.0.0.0:25"]} | settings)


def refusal(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        connector(**settings)
    given = {"name": "Relay", "bindings": ["0.0.0.0:25"]} | settings
    return " | ".join(f"{f.pointer} {f.detail} {f.value} {f.remedy}" for f in faults(caught.value, given))


def test_the_articles_first_method_gives_exactly_five_rights() -> None:
    relay = connector(
        permission_groups=["AnonymousUsers"],
        permissions=[{"principal": ANONYMOUS, "rights": ["Ms-Exch-SMTP-Accept-Any-Recipient"]}],
    )
    assert effective(relay.aces, [ANONYMOUS]) == {
        Right.HEADERS_ROUTING,
        Right.ANY_RECIPIENT,
        Right.ANY_SENDER,
        Right.AUTHORITATIVE_SENDER,
        Right.SUBMIT,
    }
    assert relay.shown_permission_groups == ("AnonymousUsers", "Custom")


def test_the_articles_second_method_gives_exactly_nine_rights() -> None:
    relay = connector(permission_groups=["ExchangeServers"], auth_mechanism=["ExternalAuthoritative"])
    assert len(effective(relay.aces, [EXTERNALLY_SECURED])) == 9
    assert relay.externally_secured
    assert relay.shown_permission_groups == ("ExchangeServers",)


def test_anonymous_and_externally_secured_are_refused_together() -> None:
    both: dict[str, Any] = {"auth_mechanism": "ExternalAuthoritative"}
    assert "one method" in refusal(permission_groups=["AnonymousUsers", "ExchangeServers"], **both)
    row = {"principal": ANONYMOUS, "rights": ["ms-Exch-SMTP-Submit"]}
    assert "one method" in refusal(permission_groups=["ExchangeServers"], permissions=[row], **both)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"auth_mechanism": ["Integrated"]}, "/auth_mechanism/0 needs Windows authentication"),
        ({"auth_mechanism": ["ExchangeServer"]}, "needs Windows authentication"),
        ({"auth_mechanism": ["Magic"]}, "not a mechanism"),
        ({"auth_mechanism": ["ExternalAuthoritative"]}, "Add ExchangeServers"),
        ({"auth_mechanism": "ExternalAuthoritative,BasicAuth", "permission_groups": "ExchangeServers"}, "only Tls"),
        ({"auth_mechanism": ["BasicAuthRequireTLS"]}, "Add BasicAuth and Tls"),
        ({"auth_mechanism": ["Tls", "BasicAuth", "BasicAuthRequireTLS"]}, "tls_certificate_name"),
        ({"require_tls": True}, "tls_certificate_name"),
        ({"connection_inactivity_timeout": "00:10:00"}, "Give less than 00:10:00"),
        ({"connection_timeout": 600}, "in quotes"),
        ({"connection_timeout": "2.00:00:00"}, "from 00:00:01 to 1.00:00:00"),
        ({"banner": "hello"}, "begins with `220 `"),
        ({"banner": "220 caf\u00e9"}, "printable ASCII"),
        ({"max_message_size": "1KB"}, "from 64KB to"),
        ({"max_inbound_connection": 0}, "/max_inbound_connection"),
        ({"max_inbound_connection_percentage_per_source": 101}, "/max_inbound_connection_percentage_per_source"),
        ({"tarpit_interval": "00:10:01"}, "from 00:00:00 to 00:10:00"),
        ({"tls_certificate_name": "../key"}, "without folder or slash"),
        ({"remote_ip_ranges": ["10.0.0.1", "10.0.0.300"]}, "/remote_ip_ranges/1 not a remote IP range 10.0.0.300"),
        ({"remote_ip_ranges": [{"range": "10.0.0.1", "expires_at": "tomorrow"}]}, "/remote_ip_ranges/0/expires_at"),
        ({"remote_ip_ranges": [{"range": "10.0.0.1", "expires_at": "2026-01-01T00:00:00"}]}, "timezone"),
        ({"bindings": []}, "/bindings"),
        ({"permission_groups": ["Custom"]}, "computed"),
        ({"max_recipients": 5}, "/max_recipients Extra inputs are not permitted 5 Remove this field"),
        ({"servers": ["site=fra=x"]}, "server selector"),
        ({"name": " x"}, "/name not a name"),
        ({"usage": "Relay"}, "/usage not a usage type Relay"),
        ({"max_hop_count": True}, "/max_hop_count not a number true Write a whole number."),
        ({"max_protocol_errors": False}, "/max_protocol_errors not a number false Write a whole number."),
        ({"tls_minimum_version": 1.4}, "/tls_minimum_version Input should be '1.0'"),
        ({"permissions": [{"principal": "user:", "rights": ["ms-Exch-SMTP-Submit"]}]}, "/permissions/0/principal not"),
        ({"proxy_protocol": True}, "PROXY protocol is not supported"),
        ({"remote_ip_ranges": 10}, "/remote_ip_ranges Input should be a valid tuple 10 Write a list: [a, b]."),
        ({"remote_ip_ranges": None}, "/remote_ip_ranges Input should be a valid tuple None Write a list"),
        ({"remote_ip_ranges": {}}, "/remote_ip_ranges Input should be a valid tuple"),
        ({"remote_ip_ranges": {"range": "10.0.0.1"}}, "/remote_ip_ranges Input should be a valid tuple"),
        ({"remote_ip_ranges": ""}, "/remote_ip_ranges not a remote IP range"),
        ({"remote_ip_ranges": "10.0.0.1,10.0.0.300"}, "/remote_ip_ranges not a remote IP range 10.0.0.300"),
        ({"auth_mechanism": "{Tls, Magic}"}, "/auth_mechanism not a mechanism Magic Use some of Tls"),
        ({"auth_mechanism": {"Tls": None, "Magic": None}}, "/auth_mechanism not a mechanism Magic Use some of Tls"),
        ({"auth_mechanism": {"Tls": True}}, "/auth_mechanism Input should be a valid tuple"),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named_with_its_value_and_remedy(settings: dict[str, Any], says: str) -> None:
    assert says in refusal(**settings)


@pytest.mark.parametrize(
    "given",
    [
        ["Tls", "BasicAuth"],
        "Tls, BasicAuth",
        "{Tls, BasicAuth}",
        " { Tls,BasicAuth } ",
        {"Tls": None, "BasicAuth": None},
    ],
)
def test_a_list_is_taken_in_each_form_in_which_the_exchange_shell_shows_it(given: object) -> None:
    assert connector(auth_mechanism=given).auth_mechanism == ("Tls", "BasicAuth")


@pytest.mark.parametrize("given", [None, "None", "{None}", ["none"], {"None": None}])
def test_none_is_an_empty_list(given: object) -> None:
    assert connector(auth_mechanism=given).auth_mechanism == ()


@pytest.mark.parametrize(
    "given",
    ["10.0.0.1,10.0.0.8/29", "{10.0.0.1, 10.0.0.8/29}", {"10.0.0.1": None, "10.0.0.8/29": None}],
)
def test_ranges_are_taken_in_the_same_forms(given: object) -> None:
    assert connector(remote_ip_ranges=given).remote_ip_ranges == ("10.0.0.1", "10.0.0.8/29")


def test_a_range_with_a_note_stays_an_entry_of_a_list() -> None:
    entries = [{"range": "10.0.0.1", "note": None}, "10.0.0.2"]
    assert "note" in refusal(remote_ip_ranges=entries)
    noted = connector(remote_ip_ranges=[{"range": "10.0.0.1", "note": "printer"}]).remote_ip_ranges
    assert noted == (RangeEntry(range="10.0.0.1", note="printer"),)


@pytest.mark.parametrize(
    "given", ["ms-Exch-SMTP-Submit", "{ms-Exch-SMTP-Submit}", {"ms-Exch-SMTP-Submit": None}]
)
def test_rights_are_taken_in_the_same_forms(given: object) -> None:
    relay = connector(permissions=[{"principal": ANONYMOUS, "rights": given}])
    assert relay.permissions[0].rights == (Right.SUBMIT,)


_SECURED: dict[str, Any] = {
    "auth_mechanism": ["ExternalAuthoritative"],
    "permission_groups": ["ExchangeServers"],
}
_SUBMIT = {"rights": ["ms-Exch-SMTP-Submit"]}


@pytest.mark.parametrize(
    ("settings", "pointer", "value"),
    [
        ({"connection_timeout": "00:01:00"}, "/connection_timeout", "00:01:00"),
        ({"connection_inactivity_timeout": "00:10:00"}, "/connection_inactivity_timeout", "00:10:00"),
        ({"require_tls": True}, "/require_tls", "true"),
        ({"auth_mechanism": ["BasicAuthRequireTLS", "Tls"]}, "/auth_mechanism", "BasicAuthRequireTLS, Tls"),
        ({"auth_mechanism": "Tls, BasicAuth, BasicAuthRequireTLS"}, "/auth_mechanism", "BasicAuthRequireTLS"),
        ({"auth_mechanism": "ExternalAuthoritative"}, "/auth_mechanism", "ExternalAuthoritative"),
        (_SECURED | {"auth_mechanism": "ExternalAuthoritative, BasicAuth"}, "/auth_mechanism", "BasicAuth"),
        (
            _SECURED | {"permission_groups": "ExchangeServers, AnonymousUsers"},
            "/permission_groups",
            "AnonymousUsers",
        ),
        (
            _SECURED | {"permissions": [{"principal": "user:a"} | _SUBMIT, {"principal": "S-1-5-7"} | _SUBMIT]},
            "/permissions/1/principal",
            ANONYMOUS,
        ),
    ],
)  # fmt: skip
def test_settings_that_cannot_stand_together_are_refused_at_one_of_them(
    settings: dict[str, Any], pointer: str, value: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        connector(**settings)
    found = faults(caught.value, {"name": "Relay", "bindings": ["0.0.0.0:25"]} | settings)
    assert [(fault.pointer, fault.value) for fault in found] == [(pointer, value)]


_LIMITS = [
    name for name, field in ReceiveConnector.model_fields.items() if "unlimited" in str(field.annotation)
]


@pytest.mark.parametrize("setting", _LIMITS)
def test_every_limit_takes_unlimited_in_any_case_a_number_and_its_digits(setting: str) -> None:
    assert getattr(connector(**{setting: " Unlimited"}), setting) == "unlimited"
    assert getattr(connector(**{setting: 10000}), setting) == 10000
    assert getattr(connector(**{setting: "10000"}), setting) == 10000


def test_the_limits_are_those_that_exchange_calls_unlimited_and_ours() -> None:
    assert _LIMITS == [
        "max_inbound_connection",
        "max_inbound_connection_per_source",
        "message_rate_limit",
        "connection_rate_limit",
        "recipient_rate_limit",
        "max_protocol_errors",
    ]


_NUMBERS = [name for name, given in connector() if isinstance(given, int) and not isinstance(given, bool)]


@pytest.mark.parametrize("setting", sorted({*_LIMITS, *_NUMBERS}))
def test_a_boolean_is_no_number(setting: str) -> None:
    assert refusal(**{setting: True}) == f"/{setting} not a number true Write a whole number."


@pytest.mark.parametrize("given", ["1.0", "1.1", "1.2", "1.3"])
def test_a_tls_version_that_yaml_reads_as_a_number_is_its_text(given: str) -> None:
    assert connector(tls_minimum_version=float(given)) == connector(tls_minimum_version=given)


@pytest.mark.parametrize("setting", UNSUPPORTED)
def test_what_is_not_supported_passes_only_at_its_off_value(setting: str) -> None:
    off, why = UNSUPPORTED[setting]
    assert all(connector(**{setting: value}) == connector() for value in off)
    assert why in refusal(**{setting: "on"})


@pytest.mark.parametrize(
    ("usage", "groups", "mechanisms"),
    [
        ("Custom", (), ("Tls",)),
        ("Internet", ("AnonymousUsers",), ("Tls",)),
        ("Partner", ("Partners",), ("Tls",)),
        ("Internal", ("ExchangeLegacyServers", "ExchangeServers"), ("Tls",)),
    ],
)
def test_a_usage_type_is_a_default_at_creation_and_not_stored(
    usage: str, groups: tuple[str, ...], mechanisms: tuple[str, ...]
) -> None:
    made = connector(usage=usage)
    assert made.permission_groups == groups
    assert made.auth_mechanism == mechanisms
    assert "usage" not in made.model_dump()
    assert connector(usage=usage, permission_groups=[]).permission_groups == ()


def test_an_internet_connector_takes_every_v4_address_and_a_custom_one_nobody() -> None:
    assert connector(usage="Internet").remote_ip_ranges == ("0.0.0.0-255.255.255.255",)
    assert connector(usage="Custom").remote_ip_ranges == ()


def test_ranges_carry_notes_and_ends_in_utc() -> None:
    made = connector(
        remote_ip_ranges=[
            "10.0.0.1",
            {"range": "10.1.2.3", "note": "scanner 3rd floor", "expires_at": "2026-11-30T12:00:00+02:00"},
        ]
    )
    entry = made.remote_ip_ranges[1]
    assert isinstance(entry, RangeEntry)
    assert entry.model_dump(mode="json")["expires_at"] == "2026-11-30T10:00:00Z"


def test_the_defaults_are_those_of_real_servers_and_frozen_for_schema_1() -> None:
    """A field at its default is not written to a bundle: changing one changes what old bundles mean."""
    defaults = connector().model_dump(mode="json", exclude={"name", "bindings"})
    assert defaults == {
        "comment": "",
        "enabled": True,
        "servers": ["*"],
        "transport_role": "FrontendTransport",
        "remote_ip_ranges": [],
        "fqdn": None,
        "banner": "",
        "permission_groups": [],
        "permissions": [],
        "allowed_sender_domains": [],
        "allowed_recipient_domains": [],
        "auth_mechanism": ["Tls"],
        "require_tls": False,
        "tls_certificate_name": None,
        "tls_minimum_version": "1.2",
        "tls_ciphers": "",
        "connection_timeout": "00:10:00",
        "connection_inactivity_timeout": "00:05:00",
        "max_inbound_connection": 5000,
        "max_inbound_connection_per_source": 20,
        "max_inbound_connection_percentage_per_source": 2,
        "message_rate_limit": "unlimited",
        "message_rate_source": "IPAddress",
        "connection_rate_limit": "unlimited",
        "recipient_rate_limit": "unlimited",
        "max_recipients_per_message": 200,
        "max_message_size": "36MB",
        "max_header_size": "256KB",
        "max_hop_count": 60,
        "max_local_hop_count": 5,
        "max_protocol_errors": 5,
        "max_logon_failures": 3,
        "tarpit_interval": "00:00:05",
        "auth_tarpit_interval": "00:00:05",
        "size_enabled": "Enabled",
        "pipelining_enabled": True,
        "chunking_enabled": True,
        "eight_bit_mime_enabled": True,
        "smtp_utf8_enabled": True,
        "enhanced_status_codes_enabled": True,
        "require_ehlo_domain": False,
        "default_domain": None,
        "reject_reserved_top_level_recipient_domains": False,
        "reject_reserved_second_level_recipient_domains": False,
        "reject_single_label_recipient_domains": False,
        "bare_linefeed_rejection_enabled": False,
        "tolerances": [
            "auth_parameter",
            "bare_lf_line",
            "long_line",
            "missing_field",
            "path_without_brackets",
            "space_before_path",
        ],
        "protocol_logging_level": "None",
        "bounce_to": None,
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [("None", ()), ([], ()), ("space_before_path, LONG_LINE", ("long_line", "space_before_path"))],
)
def test_tolerances_are_listed_in_one_order(given: object, kept: tuple[str, ...]) -> None:
    assert ReceiveConnector.model_validate(RELAY | {"tolerances": given}).tolerances == kept


def test_what_is_no_tolerance_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValidationError, match=r"not a tolerance: 'spaces'. Use some of auth_parameter, "):
        ReceiveConnector.model_validate(RELAY | {"tolerances": ["spaces"]})
