"""Settings of one connector that exclude or need each other (reference section 3)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.rights import ANONYMOUS, PermissionGroup
from gatepost.policy.model.values import seconds

if TYPE_CHECKING:
    from gatepost.policy.model.connector import ReceiveConnector


def check_combinations(connector: "ReceiveConnector") -> "ReceiveConnector":
    """The connector itself; raises BadValue that names the settings which cannot stand together."""
    _check_mechanisms(connector)
    _check_certificate(connector)
    if connector.externally_secured:
        _check_externally_secured(connector)
        _check_nobody_anonymous(connector)
    _check_timeouts(connector)
    return connector


def _check_mechanisms(connector: "ReceiveConnector") -> None:
    held = connector.auth_mechanism
    if "BasicAuthRequireTLS" in held and not {"BasicAuth", "Tls"} <= set(held):
        raise BadValue(
            ", ".join(held),
            "BasicAuthRequireTLS lacks what it needs",
            "Add BasicAuth and Tls beside it.",
            field="auth_mechanism",
        )


def _check_certificate(connector: "ReceiveConnector") -> None:
    if "Tls" in connector.auth_mechanism and connector.tls_certificate_name:
        return
    for needs, field, value in (
        (connector.require_tls, "require_tls", "true"),
        ("BasicAuthRequireTLS" in connector.auth_mechanism, "auth_mechanism", "BasicAuthRequireTLS"),
    ):
        if needs:
            remedy = "Set tls_certificate_name, and keep Tls in auth_mechanism."
            raise BadValue(value, "nobody could start TLS here", remedy, field=field)


def _check_externally_secured(connector: "ReceiveConnector") -> None:
    others = [m for m in connector.auth_mechanism if m not in ("Tls", "ExternalAuthoritative")]
    if others:
        problem = "ExternalAuthoritative allows only Tls beside it"
        raise BadValue(", ".join(others), problem, "Remove them.", field="auth_mechanism")
    if PermissionGroup.EXCHANGE_SERVERS not in connector.permission_groups:
        raise BadValue(
            "ExternalAuthoritative",
            "it needs the ExchangeServers group",
            "Add ExchangeServers to permission_groups.",
            field="auth_mechanism",
        )


def _check_nobody_anonymous(connector: "ReceiveConnector") -> None:
    found = next(_anonymous(connector), None)
    if found is not None:
        value, field = found
        problem = "anonymous and externally secured on one connector"
        remedy = "Choose one method: drop the anonymous permissions, or ExternalAuthoritative."
        raise BadValue(value, problem, remedy, field=field)


def _anonymous(connector: "ReceiveConnector") -> Iterator[tuple[str, str]]:
    """What allows anonymous senders anything: each value and its field."""
    if PermissionGroup.ANONYMOUS_USERS in connector.permission_groups:
        yield "AnonymousUsers", "permission_groups"
    for at, entry in enumerate(connector.permissions):
        if entry.principal == ANONYMOUS and not entry.deny:
            yield ANONYMOUS, f"permissions/{at}/principal"


def _check_timeouts(connector: "ReceiveConnector") -> None:
    idle, whole = connector.connection_inactivity_timeout, connector.connection_timeout
    if seconds(idle) < seconds(whole):
        return
    problem = "connection_inactivity_timeout is not shorter than connection_timeout"
    if "connection_inactivity_timeout" in connector.model_fields_set:
        remedy = f"Give less than {whole}, or a longer connection_timeout."
        raise BadValue(idle, problem, remedy, field="connection_inactivity_timeout")
    remedy = f"Give more than {idle}, or a shorter connection_inactivity_timeout."
    raise BadValue(whole, problem, remedy, field="connection_timeout")
