"""Accepted domains that are too much, and mail with nowhere to go."""

import pytest

from tests.support.findings import findings, only
from tests.support.policies import FRONTEND

PARTNER_ONLY = [{"name": "partner", "address_spaces": ["fabrikam.com"], "smart_hosts": ["mx.fabrikam.com"]}]


def accepted(*domains: str) -> dict[str, object]:
    return {"accepted_domains": [{"domain": domain} for domain in domains]}


def test_the_accepted_domain_star_cannot_be_acknowledged() -> None:
    finding = only("accepted-every-domain", **accepted("contoso.com", "*"))
    assert (finding.pointer, finding.acknowledgeable) == ("/accepted_domains/1/domain", False)
    assert not findings("accepted-every-domain", **accepted("contoso.com"))


@pytest.mark.parametrize("domain", ["com", "*.com", "co.uk", "*.co.uk", "com.au", "localdomain"])
def test_a_top_level_domain_or_public_suffix(domain: str) -> None:
    finding = only("accepted-public-suffix", **accepted("contoso.com", domain))
    assert (finding.pointer, finding.acknowledgeable) == ("/accepted_domains/1/domain", True)


def test_sub_domains_of_a_suffix_are_more_than_the_suffix() -> None:
    alone, below = (
        only("accepted-public-suffix", accepted_domains=[{"domain": "co.uk", "match_sub_domains": match}])
        for match in (False, True)
    )
    assert alone.id != below.id


@pytest.mark.parametrize("domain", ["contoso.com", "*.contoso.co.uk", "contoso.co.uk"])
def test_an_organisations_own_domain_is_none(domain: str) -> None:
    assert not findings("accepted-public-suffix", **accepted(domain))


def test_relaying_without_a_way_out() -> None:
    assert findings("no-route-outside", send_connectors=[])
    assert findings("no-route-outside", send_connectors=PARTNER_ONLY)
    assert not findings("no-route-outside")
    assert not findings("no-route-outside", FRONTEND, send_connectors=PARTNER_ONLY)


def test_users_who_relay_need_a_way_out_too() -> None:
    users = FRONTEND | {
        "name": "Clients",
        "permission_groups": ["ExchangeUsers"],
        "auth_mechanism": ["BasicAuth"],
    }
    assert findings("no-route-outside", users, send_connectors=PARTNER_ONLY)
    assert not findings("no-route-outside", users | {"auth_mechanism": []}, send_connectors=PARTNER_ONLY)


def test_accepted_domains_need_a_route() -> None:
    finding = only("no-route-for-accepted-domain", FRONTEND, send_connectors=PARTNER_ONLY)
    assert "contoso.com" in finding.detail
    assert not findings("no-route-for-accepted-domain")
