"""The local guard: what no config may do here, and the file that alone moves its bounds."""

import os
from pathlib import Path
from typing import Any

import pytest

from gatepost.policy.dialogue.compiled import Policy, compile_policy
from gatepost.policy.model.bundle import Bundle
from gatepost.policy.model.document import AcceptedDomain
from gatepost.policy.model.send_connector import SendConnector
from gatepost_agent.control.guard import Guard
from tests.agent.control.parts import bundle, connector

NOW = 1_800_000_000.0


def _policy(found: Bundle) -> Policy:
    return compile_policy(found, addresses={}, fqdn="mx1.contoso.com", now=NOW)


def _relaying(*ranges: str, binding: str = "0.0.0.0:25", **more: Any) -> Policy:
    return _policy(bundle(connector("Relay", ranges, binding, relays=True), **more))


@pytest.fixture
def guard_file(tmp_path: Path) -> Path:
    return tmp_path / "guard.toml"


def _guard(path: Path, text: str | None = None) -> Guard:
    if text is not None:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
    return Guard(path, owner=os.geteuid())


@pytest.mark.parametrize(
    "ranges",
    [
        ["0.0.0.0/0"],
        ["::/0"],
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["8.8.8.0/21"],
        ["8.8.0.0/22", "9.9.9.9"],
        ["2001:db8::/64"],
    ],
)
def test_without_a_file_never_everything_and_a_thousand_public_addresses_at_most(
    guard_file: Path, ranges: list[str]
) -> None:
    [told] = _guard(guard_file).breaches(_relaying(*ranges), NOW)
    assert "public addresses" in told
    assert "guard.toml" in told


@pytest.mark.parametrize("ranges", [["10.0.0.0/8", "192.168.0.0/16"], ["8.8.0.0/22"], ["fd00::/8"]])
def test_private_networks_and_some_public_hosts_need_no_file(guard_file: Path, ranges: list[str]) -> None:
    assert _guard(guard_file).breaches(_relaying(*ranges), NOW) == ()


def test_everybody_may_send_to_accepted_domains(guard_file: Path) -> None:
    found = bundle(
        connector("Default", ["0.0.0.0-255.255.255.255"], "0.0.0.0:25"),
        accepted_domains=(AcceptedDomain(domain="contoso.com"),),
    )
    assert _guard(guard_file).breaches(_policy(found), NOW) == ()


def test_a_star_as_an_accepted_domain_makes_everybody_a_relay_client(guard_file: Path) -> None:
    found = bundle(
        connector("Default", ["0.0.0.0-255.255.255.255"], "0.0.0.0:25"),
        accepted_domains=(AcceptedDomain(domain="*"),),
    )
    assert len(_guard(guard_file).breaches(_policy(found), NOW)) == 1


def test_a_hole_carved_by_another_connector_does_not_count(guard_file: Path) -> None:
    found = bundle(
        connector("Wide", ["8.0.0.0/8"], "0.0.0.0:25", relays=True),
        connector("Hole", ["8.0.0.0/9", "8.128.0.0/9"], "0.0.0.0:25"),
    )
    assert len(_guard(guard_file).breaches(_policy(found), NOW)) == 1


SENDING = SendConnector(
    name="Out",
    address_spaces=("*",),
    smart_hosts=("smtp.contoso.com:25",),
    tls_policy="verified",
    authentication_credential="relay",
)
BY_DNS = SendConnector(name="Out", address_spaces=("*",), dns_routing_enabled=True)


@pytest.mark.parametrize(
    ("text", "policy", "told"),
    [
        ("ports = [587]", _relaying("10.0.0.1"), "port 25 is not among"),
        ('addresses = ["10.1.1.0/24"]', _relaying("10.0.0.1"), "0.0.0.0:25: this address is not"),
        ('addresses = ["10.1.1.0/24"]', _relaying("10.0.0.1", binding="10.2.1.1:25"), "10.2.1.1:25"),
        ('relay = ["10.0.0.0/24"]', _relaying("10.0.0.0/23"), "10.0.1.0/24"),
        ("max_public_relay = 0", _relaying("8.8.8.8"), "8.8.8.8"),
        (
            'smart_hosts = ["*.fabrikam.com"]',
            _relaying("10.0.0.1", send_connectors=(SENDING,)),
            "smtp.contoso.com is not",
        ),
        ("dns_routing = false", _relaying("10.0.0.1", send_connectors=(BY_DNS,)), "routing by DNS is off"),
        (
            'credentials = {relay = ["smtp.fabrikam.com"]}',
            _relaying("10.0.0.1", send_connectors=(SENDING,)),
            "'relay'",
        ),
        ("credentials = {}", _relaying("10.0.0.1", send_connectors=(SENDING,)), "'relay'"),
    ],
)
def test_the_file_bounds_every_config(guard_file: Path, text: str, policy: Policy, told: str) -> None:
    breaches = _guard(guard_file, text).breaches(policy, NOW)
    assert len(breaches) == 1
    assert told in breaches[0]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("ports = [25]", _relaying("10.0.0.1")),
        ('addresses = ["0.0.0.0"]', _relaying("10.0.0.1")),
        ('addresses = ["10.1.1.0/24"]', _relaying("10.0.0.1", binding="10.1.1.1:25")),
        ('relay = ["0.0.0.0/0"]', _relaying("0.0.0.0/0")),
        ("max_public_relay = 5000", _relaying("8.8.0.0/20")),
        ('smart_hosts = ["*.contoso.com"]', _relaying("10.0.0.1", send_connectors=(SENDING,))),
        ('credentials = {relay = ["smtp.contoso.com"]}', _relaying("10.0.0.1", send_connectors=(SENDING,))),
    ],
)
def test_what_the_file_allows_is_allowed(guard_file: Path, text: str, policy: Policy) -> None:
    assert _guard(guard_file, text).breaches(policy, NOW) == ()


@pytest.mark.parametrize("text", ["relay = 5", "no TOML", 'unknown = "x"', 'relay = ["10.0.0.0/99"]'])
def test_a_file_that_cannot_be_read_allows_nothing(guard_file: Path, text: str) -> None:
    assert _guard(guard_file, text).breaches(_relaying("10.0.0.1"), NOW)


def test_a_file_that_others_can_change_allows_nothing(guard_file: Path) -> None:
    guard = _guard(guard_file, "ports = [25]")
    guard_file.chmod(0o666)
    assert "chmod 644" in guard.breaches(_relaying("10.0.0.1"), NOW)[0]
    foreign = Guard(guard_file, owner=os.geteuid() + 1)
    guard_file.chmod(0o644)
    assert "must be a file that belongs to" in foreign.breaches(_relaying("10.0.0.1"), NOW)[0]


def test_a_link_in_the_files_place_allows_nothing(guard_file: Path, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("ports = [25]", encoding="utf-8")
    guard_file.symlink_to(tmp_path / "other.toml")
    assert _guard(guard_file).breaches(_relaying("10.0.0.1"), NOW)
