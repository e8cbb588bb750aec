"""Certificates are for the names that clients are greeted with, and for a while still."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from gatepost.policy.dialogue.compiled import Policy, compile_policy
from gatepost_agent.certificate_check import Checked, check_certificates
from tests.agent.control.parts import bundle, connector


def _policy(fqdn: str = "mx1.contoso.com") -> Policy:
    door = connector("Relay", ["10.0.0.1"], "127.0.0.1:25", tls_certificate_name="mx1", fqdn=fqdn)
    return compile_policy(bundle(door), addresses={}, fqdn="other.contoso.com", now=0)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def _checked(tmp_path: Path, content: bytes, now: float | None = None) -> Checked:
    path = tmp_path / "mx1"
    path.write_bytes(content)
    return check_certificates(_policy(), lambda name: tmp_path / name, lambda: now or time.time())


def _pem(authority: trustme.CA, *names: str) -> bytes:
    return authority.issue_cert(*names).private_key_and_cert_chain_pem.bytes()


@pytest.mark.parametrize("name", ["mx1.contoso.com", "*.contoso.com", "MX1.contoso.com"])
def test_a_name_that_is_covered_is_well(authority: trustme.CA, tmp_path: Path, name: str) -> None:
    now = time.time()
    checked = _checked(tmp_path, _pem(authority, name), now)
    assert (checked.mismatched, checked.ending) == ((), ())


@pytest.mark.parametrize("name", ["mx2.contoso.com", "*.fabrikam.com", "contoso.com", "10.1.1.1"])
def test_another_name_is_told(authority: trustme.CA, tmp_path: Path, name: str) -> None:
    [told] = _checked(tmp_path, _pem(authority, name), time.time()).mismatched
    assert "clients are greeted as mx1.contoso.com" in told


def test_an_end_is_told_two_weeks_before(authority: trustme.CA, tmp_path: Path) -> None:
    ends = datetime(2030, 6, 30, tzinfo=UTC)
    issued = authority.issue_cert("mx1.contoso.com", not_after=ends)
    content = issued.private_key_and_cert_chain_pem.bytes()
    day_s = 86_400
    before = _checked(tmp_path, content, ends.timestamp() - 15 * day_s)
    assert (before.ending, before.days_left) == ((), {"mx1": 15})
    assert "it ends 2030-06-30" in _checked(tmp_path, content, ends.timestamp() - 13 * day_s).ending[0]
    assert "it has expired" in _checked(tmp_path, content, ends.timestamp() + 1).ending[0]


def test_what_is_no_certificate_is_the_listeners_matter(tmp_path: Path) -> None:
    assert _checked(tmp_path, b"nonsense") == Checked()
    assert check_certificates(_policy(), lambda name: tmp_path / "none") == Checked()
