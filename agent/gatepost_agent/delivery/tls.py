"""TLS towards a next hop: four policies, each an SSL context and one check afterwards (RFC 3207, RFC 7435).

none           never STARTTLS
opportunistic  STARTTLS when offered, any certificate; in plain text when TLS fails
required       STARTTLS or no delivery, any certificate
verified       STARTTLS or no delivery, and the certificate must be for the next hop's name from a known CA, or pinned
"""

import hashlib
import ssl
from typing import NamedTuple

from gatepost.policy.model.send_connector import SendConnector
from gatepost_agent.delivery.config_folder import Secrets
from gatepost_agent.delivery.errors import HopFailed, SecretRefused


class TlsContext(NamedTuple):
    """What a handshake needs, and the SHA-256 fingerprints of which the certificate must have one (if any)."""

    context: ssl.SSLContext
    pins: frozenset[str]


def make_context(connector: SendConnector, secrets: Secrets) -> TlsContext:
    """Build the context of one send connector; reads files, so not on the event loop. Raises SecretRefused.

    Pins alone prove who is there; pins beside a CA must both hold.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    verified = connector.tls_policy == "verified"
    if verified and (connector.tls_ca or not connector.tls_pins):
        _load_trust(context, connector.tls_ca, secrets)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    name = connector.tls_certificate_name
    if name is not None:
        try:
            context.load_cert_chain(secrets.certificate(name))
        except (OSError, ValueError) as error:
            raise SecretRefused(f"certificates/{name} holds no certificate with its key") from error
    return TlsContext(context, frozenset(pin.removeprefix("sha256:") for pin in connector.tls_pins))


def _load_trust(context: ssl.SSLContext, name: str | None, secrets: Secrets) -> None:
    if name is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return
    try:
        context.load_verify_locations(cadata=secrets.trust(name))
    except (OSError, ValueError) as error:
        raise SecretRefused(f"trust/{name} holds no PEM certificates") from error


def check_pin(tls: ssl.SSLObject, pins: frozenset[str]) -> None:
    """After the handshake: raise HopFailed unless the peer's own certificate is one of the pinned ones."""
    der = tls.getpeercert(binary_form=True) or b""
    found = hashlib.sha256(der).hexdigest()
    if pins and found not in pins:
        raise HopFailed(f"the certificate sha256:{found} is not pinned", status="4.7.5")


def describe(tls: ssl.SSLObject, *, verified: bool) -> str:
    """Version, cipher and whether the other side proved who it is: `TLSv1.3 TLS_AES_256_GCM_SHA384 verified`."""
    cipher = tls.cipher()
    words = [tls.version() or "TLS", cipher[0] if cipher else "", "verified" if verified else "unverified"]
    return " ".join(word for word in words if word)
