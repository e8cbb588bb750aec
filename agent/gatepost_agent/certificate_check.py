"""Do the connectors' certificates say the names that clients are greeted with, and for how long still?"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from gatepost.policy.dialogue.compiled import Policy
from gatepost_agent.errors import AgentError

SOON_S = 14 * 86_400.0


def certificate_troubles(
    policy: Policy, find: Callable[[str], Path], now: Callable[[], float] = time.time
) -> tuple[str, ...]:
    """What is wrong, in sentences. find: the file of a named certificate. A file that cannot be used is told of
    where it is used."""
    return tuple(dict.fromkeys(_troubles(policy, find, now())))


def _troubles(policy: Policy, find: Callable[[str], Path], now: float) -> Iterator[str]:
    for connector in policy.connectors.values():
        name = connector.model.tls_certificate_name
        if name is None:
            continue
        try:
            content = find(name).read_bytes()
        except (OSError, AgentError):
            continue
        yield from (f"certificate {name!r}: {told}" for told in _wrong(content, connector.fqdn, now))


def _wrong(content: bytes, fqdn: str, now: float) -> Iterator[str]:
    from cryptography import x509  # only a host with certificates pays for it

    try:
        certificate = x509.load_pem_x509_certificate(content)
    except ValueError:
        return  # the listener tells that it cannot be used
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        found = []
    if not any(_covers(name, fqdn.lower()) for name in found):
        yield f"it is for {', '.join(found) or 'no host name'}, clients are greeted as {fqdn}"
    left_s = (certificate.not_valid_after_utc - datetime.fromtimestamp(now, UTC)).total_seconds()
    if left_s < SOON_S:
        yield f"it ends {certificate.not_valid_after_utc:%Y-%m-%d}" if left_s > 0 else "it has expired"


def _covers(name: str, fqdn: str) -> bool:
    return name == fqdn or (name.startswith("*.") and fqdn.partition(".")[2] == name[2:])
