"""TLS for STARTTLS: a context for each (certificate, minimum version, ciphers), made again when its file changes.

Certificates are names of PEM files (chain and key) in the agent's config folder; where a name's file lies is given.
"""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gatepost.policy.model.connector import ReceiveConnector
from gatepost_agent.errors import AgentError
from gatepost_agent.tls_offer import CannotOffer, restrict


class NoCertificate(AgentError):
    """A connector's certificate cannot be used; the text names it and what to do."""


_Key = tuple[str | None, str, str]


class _File(NamedTuple):
    """What a look at a certificate's file finds, without reading it. trouble: why nobody may read it."""

    path: Path
    inode: int = 0
    changed_ns: int = 0  # of its content, its owner or its mode: a file made readable is another one
    size: int = 0
    trouble: str = ""


class _Made(NamedTuple):
    """What came of a file. context: of this file, or of the last one that could be used. trouble: this file's."""

    file: _File
    context: ssl.SSLContext | None
    trouble: str = ""


class Certificates:
    """`find(name)` gives the path of a certificate's file; its errors are AgentError or OSError.

    A file is read once for each time that it changes. One that cannot be used, as a renewal that is half written or
    whose key is another's, is told of, and clients get the certificate before it.
    """

    def __init__(self, find: Callable[[str], Path]) -> None:
        self._find = find
        self._made: dict[_Key, _Made] = {}

    async def context(self, connector: ReceiveConnector) -> ssl.SSLContext:
        """The context of a connector that offers STARTTLS. Raises NoCertificate."""
        file = self._look(connector)
        if self._is_new(connector, file):
            self._keep(connector, file, await asyncio.to_thread(_load, file, connector))
        made = self._made[_key(connector)]
        if made.context is None:
            raise NoCertificate(made.trouble)
        return made.context

    def trouble(self, connector: ReceiveConnector) -> str:
        """Why this connector's certificate cannot be used, or nothing. Reads its file if it has changed."""
        if connector.tls_certificate_name is None:
            return ""
        file = self._look(connector)
        if self._is_new(connector, file):
            self._keep(connector, file, _load(file, connector))
        return self._made[_key(connector)].trouble

    def _is_new(self, connector: ReceiveConnector, file: _File) -> bool:
        made = self._made.get(_key(connector))
        return made is None or made.file != file

    def _keep(self, connector: ReceiveConnector, file: _File, loaded: ssl.SSLContext | NoCertificate) -> None:
        before = self._made.get(_key(connector))
        if isinstance(loaded, ssl.SSLContext):
            made = _Made(file, loaded)
        elif before is None or before.context is None:
            made = _Made(file, None, str(loaded))
        else:
            made = _Made(file, before.context, f"{loaded}; clients still get the one before")
        self._made[_key(connector)] = made

    def _look(self, connector: ReceiveConnector) -> _File:
        name = connector.tls_certificate_name or ""
        try:
            path = self._find(name)
            found = path.stat()
        except (OSError, AgentError) as error:
            return _File(Path(name), trouble=f"certificate {name!r} cannot be read: {error}")
        return _File(path, found.st_ino, found.st_ctime_ns, found.st_size)


def _key(connector: ReceiveConnector) -> _Key:
    return connector.tls_certificate_name, connector.tls_minimum_version, connector.tls_ciphers


def _load(file: _File, connector: ReceiveConnector) -> ssl.SSLContext | NoCertificate:
    if file.trouble:
        return NoCertificate(file.trouble)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(file.path)
        restrict(context, connector)
    except CannotOffer as error:
        return NoCertificate(f"connector {connector.name!r}: {error}")
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        is_mixed = isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH"
        told = "key and certificate differ" if is_mixed else "put chain and private key into one PEM file"
        return NoCertificate(f"certificate {file.path.name!r}: {told}")
    return context
