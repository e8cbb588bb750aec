"""A config that names a file which the host lacks is rejected, to be retried."""

from pathlib import Path

import pytest

from gatepost.policy.dialogue.compiled import Policy, compile_policy
from gatepost.policy.model.send_connector import SendConnector
from gatepost_agent.control.files import check_files
from gatepost_agent.control.verify import Rejected
from gatepost_agent.delivery.config_folder import ConfigFolder
from tests.agent.control.parts import bundle, connector

SENDING = SendConnector(
    name="Out",
    address_spaces=("*",),
    smart_hosts=("smtp.contoso.com:25", "10.1.1.9"),
    tls_policy="verified",
    tls_ca="contoso",
    tls_certificate_name="mx1",
    authentication_credential="relay",
)


def _policy() -> Policy:
    door = connector("Relay", ["10.0.0.1"], "127.0.0.1:25", tls_certificate_name="mx1")
    return compile_policy(
        bundle(door, send_connectors=(SENDING,)), addresses={}, fqdn="mx1.contoso.com", now=0
    )


def _put(folder: Path, name: str, text: str = "x") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def test_every_missing_file_is_named_once_and_may_come(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as caught:
        check_files(_policy(), ConfigFolder(tmp_path))
    told = [error.detail for error in caught.value.errors]
    assert [text.partition(":")[0] for text in told] == ["connector 'Relay'"] + ["send connector 'Out'"] * 3
    assert all(error.retryable for error in caught.value.errors)


def test_a_secret_that_may_not_go_there_is_refused_without_being_told(tmp_path: Path) -> None:
    _put(tmp_path, "certificates/mx1")
    _put(tmp_path, "trust/contoso")
    _put(
        tmp_path, "credentials/relay", 'username = "u"\npassword = "hunter2"\nhosts = ["smtp.contoso.com"]\n'
    )
    with pytest.raises(Rejected, match=r"may not go to 10\.1\.1\.9") as caught:
        check_files(_policy(), ConfigFolder(tmp_path))
    assert "hunter2" not in str(caught.value)
    _put(
        tmp_path,
        "credentials/relay",
        'username = "u"\npassword = "hunter2"\nhosts = ["smtp.contoso.com", "10.1.1.9"]\n',
    )
    check_files(_policy(), ConfigFolder(tmp_path))
