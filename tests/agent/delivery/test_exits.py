"""A send connector made ready: files are read once, and again after a while."""

import asyncio
from pathlib import Path

import pytest
import trustme

from gatepost_agent.delivery import exits as module
from gatepost_agent.delivery.config_folder import ConfigFolder
from gatepost_agent.delivery.errors import SecretRefused
from tests.agent.delivery.samples import exit_for


def test_a_renewed_certificate_is_read_again_after_some_minutes(
    config_folder: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config_folder / "certificates" / "mx1.pem"
    authority.issue_cert("mx1.contoso.com").private_key_and_cert_chain_pem.write_to_path(str(path))
    path.chmod(0o600)
    made = exit_for(ConfigFolder(config_folder), tls_policy="required", tls_certificate_name="mx1.pem")

    async def scene() -> None:
        first = await made.tls()
        assert await made.tls() is first
        monkeypatch.setattr(module, "TLS_KEPT_S", -1.0)
        assert await made.tls() is not first
        path.write_text("no certificate")
        with pytest.raises(SecretRefused, match=r"certificates/mx1\.pem holds no certificate"):
            await made.tls()

    asyncio.run(scene())


def test_the_source_address_takes_its_own_ip_version_only() -> None:
    assert exit_for().takes("192.0.2.1")
    assert exit_for().takes("2001:db8::1")
    assert exit_for(source_ip_address="192.0.2.9").takes("192.0.2.1")
    assert not exit_for(source_ip_address="192.0.2.9").takes("2001:db8::1")
