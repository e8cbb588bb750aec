"""Compiled policies for tests: the article's fleet, and policies out of a few lines."""

from collections.abc import Mapping
from typing import Any

from gatepost.policy.dialogue.compiled import Policy, compile_policy
from gatepost.policy.model.bundle import Bundle, Server, render
from gatepost.policy.model.document import FleetDocument

NOW = 1_700_000_000.0
RELAY_RIGHT = "ms-Exch-SMTP-Accept-Any-Recipient"
ANONYMOUS_RELAY = {"principal": "anonymous logon", "rights": [RELAY_RIGHT]}

FRONTEND: dict[str, Any] = {
    "name": "Default Frontend",
    "bindings": ["0.0.0.0:25"],
    "remote_ip_ranges": ["0.0.0.0-255.255.255.255"],
    "permission_groups": ["AnonymousUsers"],
}
RELAY: dict[str, Any] = {
    "name": "Anonymous Relay",
    "bindings": ["0.0.0.0:25"],
    "remote_ip_ranges": ["192.168.5.10", "192.168.5.11", "10.20.0.0/24", "10.30.0.5-10.30.0.20"],
    "permission_groups": ["AnonymousUsers"],
    "permissions": [ANONYMOUS_RELAY],
    "message_rate_limit": 600,
}
ARTICLE: dict[str, Any] = {
    "accepted_domains": [{"domain": "contoso.com"}],
    "connectors": [FRONTEND, RELAY],
    "send_connectors": [
        {"name": "Smart host", "address_spaces": ["*"], "smart_hosts": ["smtp.contoso.com:25"]}
    ],
}


def document(*connectors: Mapping[str, Any], **parts: Any) -> FleetDocument:
    """The article's document, with these connectors instead of its own, and other parts replaced."""
    return FleetDocument.model_validate(ARTICLE | {"connectors": connectors or (FRONTEND, RELAY)} | parts)


def bundle(*connectors: Mapping[str, Any], server: str = "mx1", **parts: Any) -> Bundle:
    return render(document(*connectors, **parts), Server(server))


def policy(
    *connectors: Mapping[str, Any], now: float = NOW, addresses: Mapping[str, str] = {}, **parts: Any
) -> Policy:
    """`document` compiled for mx1.contoso.com."""
    rendered = bundle(*connectors, **parts)
    return compile_policy(rendered, addresses=addresses, fqdn="mx1.contoso.com", now=now)
