"""Rendering, canonical bytes and digests."""

import pytest
from pydantic import ValidationError

from gatepost.policy.model.bundle import Bundle, RelayUser, Server, canonical_bytes, digest, render, selects
from gatepost.policy.model.document import FleetDocument

_DOCUMENT = FleetDocument.model_validate(
    {
        "accepted_domains": [{"domain": "contoso.com"}],
        "connectors": [
            {"name": "All", "bindings": ["0.0.0.0:25"], "remote_ip_ranges": ["10.0.0.1"]},
            {"name": "Frankfurt", "bindings": ["{internal}:25"], "servers": ["site=fra"]},
            {"name": "Off", "bindings": ["0.0.0.0:26"], "enabled": False},
        ],
        "send_connectors": [{"name": "Out", "address_spaces": ["*"], "smart_hosts": ["smtp.contoso.com"]}],
        "tests": [{"name": "t", "server": "mx1", "remote": "10.0.0.1", "mail_from": "a@b.c", "rcpt_to": "d@e.f",
                   "expect": "550"}],
    }
)  # fmt: skip
_USER = RelayUser(name="app", verifier=f"sha256:{'00' * 16}:{'00' * 32}")


def test_a_server_gets_the_enabled_connectors_that_select_it() -> None:
    assert [c.name for c in render(_DOCUMENT, Server("mx2")).connectors] == ["All"]
    assert [c.name for c in render(_DOCUMENT, Server("mx2", {"site": "fra"})).connectors] == [
        "All",
        "Frankfurt",
    ]


def test_servers_with_equal_content_share_a_digest_whatever_their_addresses() -> None:
    a = render(_DOCUMENT, Server("mx2", {"site": "fra"}, {"internal": "10.1.1.1"}, "mx2.contoso.com"))
    b = render(_DOCUMENT, Server("mx3", {"site": "fra"}, {"internal": "10.1.1.2"}, "mx3.contoso.com"))
    assert digest(canonical_bytes(a)) == digest(canonical_bytes(b))
    assert digest(canonical_bytes(a)) != digest(canonical_bytes(render(_DOCUMENT, Server("mx2"))))


def test_only_the_tested_server_carries_the_test() -> None:
    assert len(render(_DOCUMENT, Server("mx1")).tests) == 1
    assert render(_DOCUMENT, Server("mx2")).tests == ()


def test_relay_users_go_only_where_passwords_are_asked_for() -> None:
    assert render(_DOCUMENT, Server("mx1"), [_USER]).users == ()
    asking = FleetDocument.model_validate(
        {"connectors": [{"name": "A", "bindings": ["0.0.0.0:587"], "auth_mechanism": ["BasicAuth"]}]}
    )
    assert render(asking, Server("mx1"), [_USER]).users == (_USER,)


def test_canonical_bytes_are_pinned_and_read_back() -> None:
    bundle = render(_DOCUMENT, Server("mx2"))
    content = canonical_bytes(bundle)
    assert content == (
        b'{"accepted_domains":[{"domain":"contoso.com"}],"connectors":[{"bindings":["0.0.0.0:25"],"name":"All",'
        b'"remote_ip_ranges":["10.0.0.1"]}],"schema_number":1,"send_connectors":[{"address_spaces":["*"],'
        b'"name":"Out","smart_hosts":["smtp.contoso.com:25"]}]}'
    )
    assert Bundle.model_validate_json(content) == bundle


@pytest.mark.parametrize("content", [b'{"schema_number":2}', b"{}", b'{"schema_number":1,"surprise":true}'])
def test_an_unknown_schema_or_field_is_refused(content: bytes) -> None:
    with pytest.raises(ValidationError):
        Bundle.model_validate_json(content)


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (["*"], True),
        (["mx1"], True),
        (["mx2"], False),
        (["site=fra"], True),
        (["site=ber"], False),
        ([], False),
    ],
)
def test_selectors(selectors: list[str], expected: bool) -> None:
    assert selects(selectors, Server("mx1", {"site": "fra"})) is expected
