"""A changed certificate file is used for new sessions, or kept out and told of; what was good stays in service."""

import asyncio
import os
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from gatepost.policy.model.connector import ReceiveConnector
from gatepost_agent.smtp.certificates import Certificates, NoCertificate
from tests.support.policies import RELAY


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
        new = self.file.with_suffix(".new")  # another inode: no clock tells the two apart
        new.write_bytes(content)
        new.replace(self.file)

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
            assert (
                "key and certificate differ; clients still get the one before"
                in folder.certificates.trouble(door())
            )
        assert folder.context() is good
        assert "key and certificate differ; clients still get the one before" in folder.certificates.trouble(
            door()
        )
    folder.renew()
    assert folder.certificates.trouble(door()) == ""
    assert folder.context() is not good


def test_a_file_that_is_gone_leaves_the_last_one_in_service(folder: Folder) -> None:
    folder.renew()
    good = folder.context()
    folder.file.unlink()
    assert folder.context() is good
    assert "cannot be read" in folder.certificates.trouble(door())


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERT"], ids=["empty", "half written"])
def test_what_is_no_certificate_leaves_the_last_one_in_service(folder: Folder, content: bytes) -> None:
    folder.renew()
    good = folder.context()
    folder.write(content)
    assert folder.context() is good
    assert "put chain and private key into one PEM file" in folder.certificates.trouble(door())


def test_without_a_good_one_before_it_there_is_none(folder: Folder) -> None:
    folder.mismatch()
    for _ in range(2):
        with pytest.raises(NoCertificate, match="key and certificate differ"):
            folder.context()


@pytest.mark.parametrize("is_first", [True, False], ids=["no good one before", "a good one before"])
def test_a_bad_file_is_read_once(folder: Folder, monkeypatch: pytest.MonkeyPatch, is_first: bool) -> None:
    reads: list[object] = []
    load = ssl.SSLContext.load_cert_chain

    def counting(context: ssl.SSLContext, path: Path) -> None:
        reads.append(path)
        load(context, path)

    if not is_first:
        folder.renew()
        folder.context()
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", counting)
    folder.mismatch()
    for _ in range(3):
        with suppress(NoCertificate):
            folder.context()
        assert folder.certificates.trouble(door())
    assert reads == [folder.file]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_was_made_readable_is_looked_at_again(folder: Folder) -> None:
    folder.renew()
    folder.file.chmod(0)
    assert folder.certificates.trouble(door())
    folder.file.chmod(0o600)
    assert folder.certificates.trouble(door()) == ""


def test_other_settings_are_another_context(folder: Folder) -> None:
    folder.renew()
    good = folder.context()
    assert folder.context(tls_minimum_version="1.3").minimum_version is ssl.TLSVersion.TLSv1_3
    folder.mismatch()
    assert folder.context() is good


def test_stricter_settings_are_never_served_by_a_context_from_before(folder: Folder) -> None:
    folder.renew()
    folder.context()
    folder.mismatch()
    with pytest.raises(NoCertificate):
        folder.context(tls_minimum_version="1.3")
