"""A changed certificate file is used for new sessions, or kept out and told of; what was good stays in service."""

import asyncio
import os
import ssl
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trustme

from gatepost.policy.model.connector import ReceiveConnector
from gatepost_agent.smtp.certificates import Certificates, NoCertificate
from tests.support.policies import RELAY

_STAMPS = count(1_000_000_000, 60)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class Folder:
    def __init__(self, path: Path, authority: trustme.CA) -> None:
        self.file = path / "mx1"
        self._authority = authority
        self.certificates = Certificates(lambda name: path / name)

    def issue(self) -> trustme.LeafCert:
        return self._authority.issue_cert("mx1.contoso.com")

    def write(self, content: bytes) -> None:
        self.file.write_bytes(content)
        at = next(_STAMPS)
        os.utime(self.file, (at, at))

    def renew(self) -> None:
        self.write(self.issue().private_key_and_cert_chain_pem.bytes())

    def mismatch(self) -> None:
        one, other = self.issue(), self.issue()
        self.write(one.private_key_pem.bytes() + other.cert_chain_pems[0].bytes())

    def context(self, **settings: Any) -> ssl.SSLContext:
        return asyncio.run(self.certificates.context(door(**settings)))


def door(**settings: Any) -> ReceiveConnector:
    return ReceiveConnector.model_validate(RELAY | {"tls_certificate_name": "mx1"} | settings)


@pytest.fixture
def folder(tmp_path: Path, authority: trustme.CA) -> Folder:
    return Folder(tmp_path, authority)


def test_a_renewed_certificate_is_used_at_once(folder: Folder) -> None:
    folder.renew()
    first = folder.context()
    assert folder.context() is first
    folder.renew()
    assert folder.context() is not first


@pytest.mark.parametrize("told_first", [False, True], ids=["a session first", "the check first"])
def test_a_key_of_another_certificate_is_kept_out_until_it_is_mended(
    folder: Folder, told_first: bool
) -> None:
    folder.renew()
    good = folder.context()
    folder.mismatch()
    for _ in range(2):
        if told_first:
            assert "put chain and private key into one PEM file" in folder.certificates.trouble(door())
        assert folder.context() is good
        assert "put chain and private key into one PEM file" in folder.certificates.trouble(door())
    folder.renew()
    assert folder.certificates.trouble(door()) == ""
    assert folder.context() is not good


def test_a_file_that_is_gone_leaves_the_last_one_in_service(folder: Folder) -> None:
    folder.renew()
    good = folder.context()
    folder.file.unlink()
    assert folder.context() is good
    assert "cannot be read" in folder.certificates.trouble(door())


def test_without_a_good_one_before_it_there_is_none(folder: Folder) -> None:
    folder.mismatch()
    with pytest.raises(NoCertificate):
        folder.context()


def test_other_settings_are_another_context(folder: Folder) -> None:
    folder.renew()
    good = folder.context()
    assert folder.context(tls_minimum_version="1.3").minimum_version is ssl.TLSVersion.TLSv1_3
    folder.mismatch()
    assert folder.context() is good
