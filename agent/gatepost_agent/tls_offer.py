"""What TLS a connector offers: the least version and the ciphers, as this host's TLS library knows them."""

import ssl
import warnings
from collections.abc import Iterator

from gatepost.policy.dialogue.compiled import Policy
from gatepost.policy.model.connector import ReceiveConnector
from gatepost_agent.errors import AgentError

_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
# Of today's OpenSSL levels only this one has what TLS 1.0 and 1.1 sign with.
_OLD_LEVEL = "@SECLEVEL=0"


class CannotOffer(AgentError):
    """This host's library cannot do what a connector asks for; the text names the setting."""


def restrict(context: ssl.SSLContext, connector: ReceiveConnector) -> None:
    """Source: tls_minimum_version, tls_ciphers (ours, for old printers). Raises CannotOffer."""
    ciphers = connector.tls_ciphers
    if connector.tls_minimum_version in ("1.0", "1.1") and "@SECLEVEL" not in ciphers:
        ciphers = f"{ciphers or 'DEFAULT'}{_OLD_LEVEL}"
    try:
        with warnings.catch_warnings():
            # Python warns of TLS 1.0 and 1.1, which an operator has asked for by name.
            warnings.filterwarnings("ignore", r"ssl\.TLSVersion\.TLSv1", DeprecationWarning)
            context.minimum_version = _VERSIONS[connector.tls_minimum_version]
        if ciphers:
            context.set_ciphers(ciphers)
    except (ValueError, ssl.SSLError) as error:
        raise CannotOffer(
            f"tls_ciphers {connector.tls_ciphers!r}: this host's TLS library knows none of them ({error}); "
            "`openssl ciphers` lists those it knows"
        ) from error


def impossible_offers(policy: Policy) -> Iterator[str]:
    """The connectors whose TLS this host cannot offer, and why."""
    for connector in policy.bundle.connectors:
        if connector.tls_certificate_name is not None:
            try:
                restrict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), connector)
            except CannotOffer as error:
                yield f"connector {connector.name!r}: {error}"
