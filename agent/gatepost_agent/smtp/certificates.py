"""TLS for STARTTLS: a context for each (certificate, minimum version, ciphers), made again when its file changes.

Certificates are names of PEM files (chain and key) in the agent's config folder; where a name's file lies is given.
"""

import asyncio
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gatepost.policy.model.connector import ReceiveConnector
from gatepost_agent.errors import AgentError

_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
# Of today's OpenSSL levels only this one has what TLS 1.0 and 1.1 sign with.
_OLD_CIPHERS = "DEFAULT@SECLEVEL=0"


class NoCertificate(AgentError):
    """A connector's certificate cannot be used; the text names it and what to do."""


_Stamp = tuple[int, int]  # mtime and size of a file
_Key = tuple[str | None, str, str]


class _Made(NamedTuple):
    """refused: the stamp of a newer file that cannot be used; why: what is wrong with it."""

    stamp: _Stamp
    context: ssl.SSLContext
    refused: _Stamp | None = None
    why: str = ""


class Certificates:
    """`find(name)` gives the path of a certificate's file; its errors are AgentError or OSError."""

    def __init__(self, find: Callable[[str], Path]) -> None:
        self._find = find
        self._made: dict[_Key, _Made] = {}

    async def context(self, connector: ReceiveConnector) -> ssl.SSLContext:
        """The context of a connector that offers STARTTLS. Raises NoCertificate.

        A file that cannot be used is kept out while there is one that was: see `trouble`.
        """
        made = self._made.get(_key(connector))
        try:
            path, stamp = self._look(connector.tls_certificate_name or "")
            if made is not None and stamp in (made.stamp, made.refused):
                return made.context
            return self._keep(connector, stamp, await asyncio.to_thread(_load, path))
        except NoCertificate:
            if made is None:
                raise
            return made.context

    def trouble(self, connector: ReceiveConnector) -> str:
        """Why this connector's certificate cannot be used, or nothing. Reads its file if it has changed."""
        if connector.tls_certificate_name is None:
            return ""
        made = self._made.get(_key(connector))
        try:
            path, stamp = self._look(connector.tls_certificate_name)
        except NoCertificate as error:
            return str(error)
        if made is not None and stamp in (made.stamp, made.refused):
            return made.why if stamp == made.refused else ""
        try:
            self._keep(connector, stamp, _load(path))
        except NoCertificate as error:
            if made is not None:  # asked again only when the file has changed again
                self._made[_key(connector)] = made._replace(
                    refused=stamp, why=f"{error}; the last one is kept"
                )
            return str(error)
        return ""

    def _keep(self, connector: ReceiveConnector, stamp: _Stamp, chain: ssl.SSLContext) -> ssl.SSLContext:
        self._made[_key(connector)] = _Made(stamp, _restrict(chain, connector))
        return chain

    def _look(self, name: str) -> tuple[Path, _Stamp]:
        try:
            path = self._find(name)
            found = path.stat()
        except (OSError, AgentError) as error:
            raise NoCertificate(f"certificate {name!r} cannot be read: {error}") from error
        return path, (found.st_mtime_ns, found.st_size)


def _key(connector: ReceiveConnector) -> _Key:
    return connector.tls_certificate_name, connector.tls_minimum_version, connector.tls_ciphers


def _load(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(path)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise NoCertificate(
            f"certificate {path.name!r}: put chain and private key into one PEM file"
        ) from error
    return context


def _restrict(context: ssl.SSLContext, connector: ReceiveConnector) -> ssl.SSLContext:
    """Source: tls_minimum_version, tls_ciphers (ours, for old printers)."""
    old = connector.tls_minimum_version in ("1.0", "1.1")
    ciphers = connector.tls_ciphers or (_OLD_CIPHERS if old else "")
    try:
        with warnings.catch_warnings():
            # Python warns of TLS 1.0 and 1.1, which an operator has asked for by name.
            warnings.filterwarnings("ignore", r"ssl\.TLSVersion\.TLSv1", DeprecationWarning)
            context.minimum_version = _VERSIONS[connector.tls_minimum_version]
        if ciphers:
            context.set_ciphers(ciphers)
    except (ValueError, ssl.SSLError) as error:
        raise NoCertificate(f"this host's TLS library knows no cipher of {ciphers!r}: {error}") from error
    return context
