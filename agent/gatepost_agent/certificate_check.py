"""Do the connectors' certificates say the names that clients are greeted with, and for how long still?"""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from gatepost.policy.dialogue.compiled import Policy
from gatepost_agent.errors import AgentError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SOON_S = 14 * 86_400.0


class Checked(NamedTuple):
    """mismatched, ending: what is wrong, in sentences. days_left: by the certificate's name."""

    mismatched: tuple[str, ...] = ()
    ending: tuple[str, ...] = ()
    days_left: Mapping[str, float] = MappingProxyType({})


def check_certificates(
    policy: Policy, find: Callable[[str], Path], now: Callable[[], float] = time.time
) -> Checked:
    """How the files in use are. find: the file of a named certificate. A file that cannot be used is told of where
    it is used."""
    moment, days_left = now(), dict[str, float]()
    mismatched, ending = dict[str, None](), dict[str, None]()
    for connector in policy.connectors.values():
        name = connector.model.tls_certificate_name
        certificate = _read(name, find) if name is not None else None
        if name is None or certificate is None:
            continue
        mismatched |= {
            f"certificate {name!r}: {told}": None for told in _misnamed(certificate, connector.fqdn)
        }
        left_s = (certificate.not_valid_after_utc - datetime.fromtimestamp(moment, UTC)).total_seconds()
        days_left[name] = left_s / 86_400
        if left_s < SOON_S:
            ends = f"it ends {certificate.not_valid_after_utc:%Y-%m-%d}" if left_s > 0 else "it has expired"
            ending[f"certificate {name!r}: {ends}"] = None
    return Checked(tuple(mismatched), tuple(ending), days_left)


def _read(name: str, find: Callable[[str], Path]) -> "Certificate | None":
    from cryptography import x509  # only a host with certificates pays for it

    try:
        return x509.load_pem_x509_certificate(find(name).read_bytes())
    except (OSError, AgentError, ValueError):
        return None  # the listener tells that it cannot be used


def _misnamed(certificate: "Certificate", fqdn: str) -> Iterator[str]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        found = []
    if not any(_covers(name, fqdn.lower()) for name in found):
        yield f"it is for {', '.join(found) or 'no host name'}, clients are greeted as {fqdn}"


def _covers(name: str, fqdn: str) -> bool:
    return name == fqdn or (name.startswith("*.") and fqdn.partition(".")[2] == name[2:])
