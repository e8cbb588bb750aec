"""What is wrong, dangerous or pointless in a fleet document on its servers: `lint(side) -> findings`.

Each module holds rules of one kind, as functions from a group of equal servers (or from the document) to findings.
"""

from collections.abc import Callable, Iterator

from gatepost.policy.analysis.findings import Finding, merged
from gatepost.policy.analysis.lint import (
    bindings,
    domains,
    expectations,
    expiry,
    hints,
    relay,
    sources,
    users,
)
from gatepost.policy.analysis.lint.context import Context
from gatepost.policy.analysis.sides import Group, Side

_BY_GROUP: tuple[Callable[[Context, Group], Iterator[Finding]], ...] = (
    relay.findings,
    sources.findings,
    bindings.findings,
    domains.routes,
    expiry.findings,
    expectations.assertions,
)
_BY_DOCUMENT: tuple[Callable[[Context], Iterator[Finding]], ...] = (
    domains.findings,
    hints.findings,
    users.findings,
    relay.nowhere,
    expectations.tests,
)


def lint(side: Side) -> tuple[Finding, ...]:
    """Every finding, each once, the gravest first."""
    context = Context(side)
    return merged(_all(context))


def _all(context: Context) -> Iterator[tuple[Finding, tuple[str, ...]]]:
    for rules in _BY_DOCUMENT:
        for finding in rules(context):
            yield finding, ()
    for group in context.side.groups:
        for by_group in _BY_GROUP:
            for finding in by_group(context, group):
                yield finding, group.names
