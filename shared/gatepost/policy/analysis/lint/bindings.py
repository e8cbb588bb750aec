"""Connectors on one server that stand in each other's way (reference section 2)."""

from collections.abc import Iterator
from itertools import islice

from gatepost.policy.analysis.findings import Finding, Rule, Severity, found
from gatepost.policy.analysis.lint.context import Context, names, selectors, some
from gatepost.policy.analysis.ranges import ranges
from gatepost.policy.analysis.sides import Group
from gatepost.policy.dialogue.compiled import bindings_of, listing, told
from gatepost.policy.dialogue.selection import conflicts
from gatepost.policy.model.addresses import Binding
from gatepost.policy.model.connector import ReceiveConnector
from gatepost.policy.model.errors import BadValue

_MOST = 50  # conflicts told of one binding: who has more has one mistake many times

RANGE_CONFLICT = Rule(
    "range-conflict",
    Severity.BLOCKING,
    "Ranges of two connectors overlap in part or are equal",
    "Make one hold the other entirely, or give the addresses to one of the connectors.",
    broken=True,
)
ROLE_CONFLICT = Rule(
    "role-conflict",
    Severity.BLOCKING,
    "Two transport roles on one address and port",
    "Give connectors of different transport_role different ports or local addresses.",
    broken=True,
)
UNKNOWN_ADDRESS = Rule(
    "unknown-address",
    Severity.BLOCKING,
    "A named address that a server does not have",
    "Give the servers this address, or change the binding or the connector's servers.",
    broken=True,
)
HIDDEN = Rule(
    "hidden-by-specific-binding",
    Severity.WARNING,
    "A specific binding hides connectors bound to all addresses",
    "Bind the hidden connectors to this address as well, or the specific one to all addresses.",
)


def findings(context: Context, group: Group) -> Iterator[Finding]:
    listening: dict[Binding, list[ReceiveConnector]] = {}
    for connector in group.bundle.connectors:
        try:
            resolved = bindings_of(connector, group.addresses)
        except BadValue as error:
            yield _unknown(context, connector, error)
            continue
        for binding in dict.fromkeys(resolved):
            listening.setdefault(binding, []).append(connector)
    for binding, connectors in listening.items():
        if group.policy is None:
            yield from _conflicts(context, binding, connectors)
        yield from _roles(context, binding, connectors)
        yield from _hidden(context, binding, connectors, listening)


def _unknown(context: Context, connector: ReceiveConnector, error: BadValue) -> Finding:
    return found(
        UNKNOWN_ADDRESS,
        f"connector {connector.name!r} is bound to {{{error.value}}}, which these servers do not have",
        pointer=context.pointer(connector, "bindings"),
        selectors=connector.servers,
        connectors=(connector.name,),
        subject=error.value,
    )


def _conflicts(context: Context, binding: Binding, connectors: list[ReceiveConnector]) -> Iterator[Finding]:
    by_name = {connector.name: connector for connector in connectors}
    for conflict in islice(conflicts(listing(connectors, context.side.now)), _MOST):
        both = [by_name[entry.connector] for entry in conflict]
        yield found(
            RANGE_CONFLICT,
            f"on {binding} {told(conflict)}",
            pointer=context.pointer(both[1], "remote_ip_ranges"),
            selectors=selectors(both),
            ranges=ranges(entry.range for entry in conflict),
            connectors=names(both),
            subject=f"{binding} {'/'.join(sorted(names(both)))}",
        )


def _roles(context: Context, binding: Binding, connectors: list[ReceiveConnector]) -> Iterator[Finding]:
    first = connectors[0]
    other = next((c for c in connectors if c.transport_role != first.transport_role), None)
    if other is not None:
        yield found(
            ROLE_CONFLICT,
            f"on {binding} connector {first.name!r} is {first.transport_role} and {other.name!r} is "
            f"{other.transport_role}",
            pointer=context.pointer(other, "transport_role"),
            selectors=selectors((first, other)),
            connectors=names((first, other)),
            subject=str(binding),
        )


def _hidden(
    context: Context,
    binding: Binding,
    connectors: list[ReceiveConnector],
    listening: dict[Binding, list[ReceiveConnector]],
) -> Iterator[Finding]:
    address = binding.address
    if address is None or address.value == 0:
        return
    wildcard = Binding(address._replace(value=0), None, binding.port)
    hidden = [connector for connector in listening.get(wildcard, ()) if connector not in connectors]
    if hidden:
        yield found(
            HIDDEN,
            f"clients that come to {binding} never reach {some(names(hidden))}: {some(names(connectors))} took "
            "that address",
            pointer=context.pointer(connectors[0], "bindings"),
            selectors=selectors(connectors),
            connectors=names((*connectors, *hidden)),
            subject=str(binding),
        )
