"""HELO and EHLO: names that devices give, and the extensions a connector offers (RFC 5321 4.1.1.1)."""

from gatepost.policy.dialogue import replies
from gatepost.policy.dialogue.compiled import CompiledConnector
from gatepost.policy.dialogue.rules import auth
from gatepost.policy.dialogue.rules.refusal import Refusal
from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.mailboxes import parse_domain
from gatepost.policy.model.tolerances import HELLO_WITH_ODD_NAME, HELLO_WITHOUT_NAME


def check(connector: CompiledConnector, name: str) -> Refusal | None:
    """Source: Exchange parameter RequireEHLODomain. Without it anything goes, bare EHLO included."""
    if not connector.model.require_ehlo_domain or _valid(name):
        return None
    return Refusal(
        replies.INVALID_DOMAIN, "require_ehlo_domain needs a domain or address literal", close=True
    )


def tolerated(name: str) -> tuple[str, ...]:
    if not name:
        return (HELLO_WITHOUT_NAME,)
    return () if _valid(name) else (HELLO_WITH_ODD_NAME,)


def _valid(name: str) -> bool:
    try:
        if name.startswith("[") and name.endswith("]"):
            parse_address(name[1:-1].removeprefix("IPv6:"))
        else:
            parse_domain(name)
    except BadValue:
        return False
    return name.isascii()


def offers_tls(connector: CompiledConnector, *, tls: bool) -> bool:
    model = connector.model
    return "Tls" in model.auth_mechanism and model.tls_certificate_name is not None and not tls


def extensions(connector: CompiledConnector, *, tls: bool, authenticated: bool) -> tuple[str, ...]:
    """The EHLO keywords, in Exchange's order."""
    model = connector.model
    size = {"Enabled": f"SIZE {connector.max_message_bytes}", "EnabledWithoutValue": "SIZE", "Disabled": ""}
    offered = (
        size[model.size_enabled],
        "PIPELINING" if model.pipelining_enabled else "",
        "ENHANCEDSTATUSCODES" if model.enhanced_status_codes_enabled else "",
        "STARTTLS" if offers_tls(connector, tls=tls) else "",
        "AUTH LOGIN PLAIN" if auth.offered(connector, tls=tls) and not authenticated else "",
        "8BITMIME" if model.eight_bit_mime_enabled else "",
        "CHUNKING" if model.chunking_enabled else "",
        "SMTPUTF8" if model.smtp_utf8_enabled else "",
    )
    return tuple(keyword for keyword in offered if keyword)
