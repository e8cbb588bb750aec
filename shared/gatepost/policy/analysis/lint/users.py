"""Rights of relay users that do not exist."""

from collections.abc import Iterator

from gatepost.policy.analysis.findings import Finding, Rule, Severity, found
from gatepost.policy.analysis.lint.context import Context
from gatepost.policy.model.rights import USER_PREFIX

UNKNOWN = Rule(
    "unknown-relay-user",
    Severity.WARNING,
    "A right of a relay user that does not exist",
    "Create the relay user, or correct the name: who creates it later has this right at once.",
)


def findings(context: Context) -> Iterator[Finding]:
    """One for each permission of a user that the control plane does not know."""
    known = {f"{USER_PREFIX}{user.name.lower()}" for user in context.side.users}
    for connector in context.document.connectors:
        for at, permission in enumerate(connector.permissions):
            if permission.principal.startswith(USER_PREFIX) and permission.principal not in known:
                yield found(
                    UNKNOWN,
                    f"connector {connector.name!r} names {permission.principal}, which does not exist",
                    pointer=context.pointer(connector, f"permissions/{at}"),
                    selectors=connector.servers,
                    connectors=(connector.name,),
                    subject=f"{connector.name}: {permission.principal} {permission.deny} {permission.inherited}",
                )
