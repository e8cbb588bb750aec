"""The fleet document's own checks, and the send connector's."""

from typing import Any

import pytest
from pydantic import ValidationError

from gatepost.policy.model.document import FleetDocument
from gatepost.policy.model.errors import BadValue, faults
from gatepost.policy.model.send_connector import parse_address_space, parse_smart_host


def refusal(data: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        FleetDocument.model_validate(data)
    return " | ".join(f"{f.pointer} {f.detail} {f.value} {f.remedy}" for f in faults(caught.value, data))


def _connector(name: str) -> dict[str, Any]:
    return {"name": name, "bindings": ["0.0.0.0:25"]}


def _send(**settings: Any) -> dict[str, Any]:
    return {"send_connectors": [{"name": "Out", "address_spaces": ["*"], "smart_hosts": ["h"]} | settings]}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"connectors": [_connector("A"), _connector("a")]}, "two connectors of one name"),
        ({"accepted_domains": [{"domain": "a.com"}, {"domain": "A.com"}]}, "two accepted domains"),
        ({"accepted_domains": [{"domain": "a.*.com"}]}, "/accepted_domains/0/domain not a domain name"),
        ({"accepted_domains": [{"domain": "a.com", "type": "ours"}]}, "/accepted_domains/0/type"),
        ({"connectors": [{"name": "A"}]}, "/connectors/0/bindings Field required  Add this field."),
        ({"connector": []}, "/connector "),
        ({"tests": [{"name": "t", "server": "mx1", "remote": "10.0.0.1", "expect": "250"}]}, "needs lines"),
        ({"tests": [{"name": "t", "server": "m", "remote": "x", "lines": ["a"], "expect": "250"}]}, "/tests/0/remote"),
        (_send(smart_hosts=[]), "one of the two"),
        (_send(dns_routing_enabled=True), "one of the two"),
        (_send(smart_hosts=["h:0"]), "/send_connectors/0/smart_hosts/0 not a smart host"),
        (_send(address_spaces=["*;101"]), "/send_connectors/0/address_spaces/0 not an address space"),
        (_send(tls_ca="ca.pem"), "tls_policy verified"),
        (_send(authentication_credential="smart"), "verified TLS only"),
        (_send(tls_policy="verified", tls_pins=["sha256:00"]), "not a pin"),
        (_send(authentication_credential="a/b"), "without folder or slash"),
    ],
)  # fmt: skip
def test_a_bad_document_is_refused_where_it_is_wrong(data: dict[str, Any], says: str) -> None:
    assert says in refusal(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", ("*", 1)),
        ("SMTP:Contoso.com;5", ("contoso.com", 5)),
        ("*.contoso.com;100", ("*.contoso.com", 100)),
    ],
)
def test_address_spaces(text: str, expected: tuple[str, int]) -> None:
    assert parse_address_space(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smtp.contoso.com", ("smtp.contoso.com", 25)),
        ("smtp.contoso.com:587", ("smtp.contoso.com", 587)),
        ("10.1.1.9:25", ("10.1.1.9", 25)),
        ("[2001:DB8::9]:26", ("2001:db8::9", 26)),
        ("[2001:db8::9]", ("2001:db8::9", 25)),
        ("[10.1.1.9]:25", ("10.1.1.9", 25)),
    ],
)
def test_smart_hosts(text: str, expected: tuple[str, int]) -> None:
    assert parse_smart_host(text) == expected


@pytest.mark.parametrize("text", ["", ":25", "host:99999", "[x]:25", "a b:25", "host:25:26"])
def test_what_is_no_smart_host_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        parse_smart_host(text)
