"""Named secrets and certificates: the fleet document holds names, the files lie on this host and nowhere else.

`<folder>/credentials/<name>` is TOML: `username`, `password`, `hosts = ["smtp.contoso.com"]`, the hosts it may go to.
`<folder>/certificates/<name>` is PEM, our certificate chain and its key; `<folder>/trust/<name>` is PEM, the CAs that
a next hop's certificate may come from.
"""

import stat
import tomllib
from pathlib import Path
from typing import NamedTuple, Protocol

from gatepost_agent.delivery.errors import SecretRefused


class Credentials(NamedTuple):
    """What AUTH shows a next hop. Its text must never reach a log: there is no useful repr."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "Credentials(...)"


class Secrets(Protocol):
    """Where names become secrets. Each raises SecretRefused, whose text names the remedy."""

    def credentials(self, name: str, host: str) -> Credentials:
        """The credentials of that name, if they may go to that host (as the send connector names it)."""

    def certificate(self, name: str) -> Path:
        """The PEM file with our client certificate and its key."""

    def trust(self, name: str) -> str:
        """The PEM text of a trust file."""


class ConfigFolder:
    """`Secrets` from the agent's config folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def credentials(self, name: str, host: str) -> Credentials:
        """Read at each use, so that a changed password needs no restart."""
        path = self._find("credentials", name, secret=True)
        try:
            table = tomllib.loads(path.read_text())
            found = Credentials(str(table["username"]), str(table["password"]))
            hosts = {str(allowed).lower() for allowed in table["hosts"]}
        except (OSError, UnicodeError, KeyError, TypeError, tomllib.TOMLDecodeError):
            # The error's own text could quote the file.
            raise SecretRefused(f"credentials {name}: write username, password and hosts as TOML") from None
        if host.lower() not in hosts:
            raise SecretRefused(f"credentials {name} may not go to {host}: add it to hosts in that file")
        return found

    def certificate(self, name: str) -> Path:
        """As Secrets.certificate."""
        return self._find("certificates", name, secret=True)

    def trust(self, name: str) -> str:
        """As Secrets.trust."""
        try:
            return self._find("trust", name, secret=False).read_text()
        except (OSError, UnicodeError) as error:
            raise SecretRefused(f"trust/{name} cannot be read: {error}") from error

    def _find(self, kind: str, name: str, *, secret: bool) -> Path:
        if "/" in name or name.startswith("."):
            raise SecretRefused(f"{kind}/{name}: give the name of a file alone")
        path = self._folder / kind / name
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise SecretRefused(f"{kind}/{name} is missing in the config folder") from error
        if not stat.S_ISREG(mode) or (secret and mode & 0o077):
            raise SecretRefused(f"{kind}/{name} must be a file that only its owner can read (chmod 600)")
        return path
