"""Settings that do less than they seem to."""

from collections.abc import Iterator

from gatepost.policy.analysis.findings import Finding, Rule, Severity, found
from gatepost.policy.analysis.lint.context import Context, some
from gatepost.policy.analysis.ranges import ranges
from gatepost.policy.dialogue.compiled import CompiledConnector, live_ranges
from gatepost.policy.model.addresses import AddressRange
from gatepost.policy.model.connector import AuthMechanism, Permission, ReceiveConnector
from gatepost.policy.model.rights import EFFECTIVE, UNREACHABLE, Right

OWN_SENDERS = Rule(
    "default-takes-own-senders",
    Severity.WARNING,
    "Everybody may send as our own domains",
    "Deny Accept-Authoritative-Domain-Sender to ANONYMOUS LOGON on the default connector.",
)
NO_CERTIFICATE = Rule(
    "tls-without-certificate",
    Severity.INFO,
    "Tls without a certificate",
    "Set tls_certificate_name, or leave Tls out of auth_mechanism: STARTTLS is not offered as it is.",
)
NO_EFFECT = Rule(
    "right-without-effect",
    Severity.INFO,
    "A right with no effect here",
    "Leave it out, or keep it for the record: nothing in this relay depends on it.",
)
DUPLICATE = Rule(
    "duplicate-range",
    Severity.INFO,
    "A range stands twice in one connector",
    "Remove one of the two.",
)
NOBODY = Rule(
    "no-ranges",
    Severity.INFO,
    "A connector that takes nobody",
    "Add remote_ip_ranges, or remove the connector.",
)


def findings(context: Context) -> Iterator[Finding]:
    authoritative = [d.domain for d in context.document.accepted_domains if d.type == "authoritative"]
    for connector in context.document.connectors:
        if not connector.enabled:
            continue
        if authoritative and context.holds_everything(connector) and _takes_own_senders(connector):
            detail = f"connector {connector.name!r} takes mail from strangers as {some(authoritative)}"
            yield context.about(OWN_SENDERS, connector, "permissions", detail)
        if AuthMechanism.TLS in connector.auth_mechanism and connector.tls_certificate_name is None:
            detail = f"connector {connector.name!r} has no certificate to start TLS with"
            yield context.about(NO_CERTIFICATE, connector, "tls_certificate_name", detail)
        if not connector.remote_ip_ranges:
            detail = f"connector {connector.name!r} has no remote IP range"
            yield context.about(NOBODY, connector, "remote_ip_ranges", detail)
        yield from _without_effect(context, connector)
        if context.side.repeats(connector):
            yield from _duplicates(context, connector)


def _takes_own_senders(connector: ReceiveConnector) -> bool:
    compiled = CompiledConnector(connector, "")
    rights = compiled.rights(compiled.first_principal)
    return not connector.allowed_sender_domains and {Right.SUBMIT, Right.AUTHORITATIVE_SENDER} <= rights


def _without_effect(context: Context, connector: ReceiveConnector) -> Iterator[Finding]:
    for at, permission in enumerate(connector.permissions):
        idle = _idle(permission)
        if idle:
            yield found(
                NO_EFFECT,
                f"connector {connector.name!r}: {some(idle)} of {permission.principal}",
                pointer=context.pointer(connector, f"permissions/{at}"),
                selectors=connector.servers,
                connectors=(connector.name,),
                subject=f"{connector.name}: {permission.principal} {' '.join(idle)}",
            )


def _idle(permission: Permission) -> list[str]:
    """Rights that nothing depends on, or all of them where no client can become the principal."""
    unreachable = permission.principal in UNREACHABLE
    return [str(right) for right in permission.rights if unreachable or right not in EFFECTIVE]


def _duplicates(context: Context, connector: ReceiveConnector) -> Iterator[Finding]:
    seen: dict[tuple[int, int, int], AddressRange] = {}
    for known in live_ranges(connector, context.side.now):
        first = seen.setdefault(known[:3], known)
        if first is not known:
            yield found(
                DUPLICATE,
                f"connector {connector.name!r} holds {first.text} and {known.text}, which is the same",
                pointer=context.pointer(connector, "remote_ip_ranges"),
                selectors=connector.servers,
                ranges=ranges([known]),
                connectors=(connector.name,),
                subject=connector.name,
            )
