"""Settings of one connector that exclude or need each other (reference section 3)."""

from typing import TYPE_CHECKING

from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.rights import ANONYMOUS, PermissionGroup
from gatepost.policy.model.values import seconds

if TYPE_CHECKING:
    from gatepost.policy.model.connector import ReceiveConnector


def check_combinations(connector: "ReceiveConnector") -> "ReceiveConnector":
    """The connector itself; raises BadValue that names the settings which cannot stand together."""
    _check_mechanisms(connector)
    if connector.externally_secured:
        _check_externally_secured(connector)
    if seconds(connector.connection_inactivity_timeout) >= seconds(connector.connection_timeout):
        raise BadValue(
            connector.connection_inactivity_timeout,
            "connection_inactivity_timeout is not shorter than connection_timeout",
            f"Give less than {connector.connection_timeout}.",
        )
    return connector


def _check_mechanisms(connector: "ReceiveConnector") -> None:
    held = frozenset(connector.auth_mechanism)
    if "BasicAuthRequireTLS" in held and not held >= {"BasicAuth", "Tls"}:
        raise BadValue(
            "BasicAuthRequireTLS", "auth_mechanism lacks what it needs", "Add BasicAuth and Tls beside it."
        )
    for needs, name in (
        (connector.require_tls, "require_tls"),
        ("BasicAuthRequireTLS" in held, "BasicAuthRequireTLS"),
    ):
        if needs and not ("Tls" in held and connector.tls_certificate_name):
            raise BadValue(name, "nobody could start TLS here", "Set tls_certificate_name and keep Tls.")


def _check_externally_secured(connector: "ReceiveConnector") -> None:
    others = [m for m in connector.auth_mechanism if m not in ("Tls", "ExternalAuthoritative")]
    if others:
        raise BadValue(", ".join(others), "ExternalAuthoritative allows only Tls beside it", "Remove them.")
    if PermissionGroup.EXCHANGE_SERVERS not in connector.permission_groups:
        raise BadValue(
            "ExternalAuthoritative",
            "it needs the ExchangeServers group",
            "Add ExchangeServers to permission_groups.",
        )
    anonymous = PermissionGroup.ANONYMOUS_USERS in connector.permission_groups
    if anonymous or any(p.principal == ANONYMOUS and not p.deny for p in connector.permissions):
        raise BadValue(
            "AnonymousUsers" if anonymous else ANONYMOUS,
            "anonymous and externally secured on one connector",
            "Choose one method: drop the anonymous permissions, or ExternalAuthoritative.",
        )
