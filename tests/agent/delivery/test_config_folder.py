"""Names become secrets only on this host, only for the hosts that it lists, and never in an error's text."""

from pathlib import Path

import pytest

from gatepost_agent.delivery.config_folder import ConfigFolder, Credentials
from gatepost_agent.delivery.errors import SecretRefused


def write(folder: Path, text: str, mode: int = 0o600) -> ConfigFolder:
    path = folder / "credentials" / "relay"
    path.write_text(text)
    path.chmod(mode)
    return ConfigFolder(folder)


GOOD = 'username = "u"\npassword = "s3cret"\nhosts = ["smtp.contoso.com"]\n'


def test_credentials_go_to_the_hosts_in_their_file(config_folder: Path) -> None:
    folder = write(config_folder, GOOD)
    assert folder.credentials("relay", "SMTP.contoso.com") == Credentials("u", "s3cret")
    with pytest.raises(SecretRefused, match="may not go to evil"):
        folder.credentials("relay", "evil.example")


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (GOOD, 0o640),
        (GOOD, 0o604),
        ('username = "u"\npassword = "s3cret"\n', 0o600),
        ('username = "u"\npassword = "s3cret\nhosts = []', 0o600),
        ('username = "u"\npassword = "s3cret"\nhosts = 5\n', 0o600),
    ],
)
def test_what_is_wide_or_unclear_is_refused_without_showing_it(
    config_folder: Path, text: str, mode: int
) -> None:
    folder = write(config_folder, text, mode)
    with pytest.raises(SecretRefused) as caught:
        folder.credentials("relay", "smtp.contoso.com")
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["../relay", "/etc/passwd", "", ".", "..", "none"])
def test_a_name_is_a_name_in_the_folder(config_folder: Path, name: str) -> None:
    with pytest.raises(SecretRefused):
        ConfigFolder(config_folder).credentials(name, "smtp.contoso.com")
    with pytest.raises(SecretRefused):
        ConfigFolder(config_folder).certificate(name)
    with pytest.raises(SecretRefused):
        ConfigFolder(config_folder).trust(name)


def test_a_password_has_no_repr() -> None:
    assert "s3cret" not in repr(Credentials("u", "s3cret"))
