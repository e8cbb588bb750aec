"""Findings of a few lines of document, for tests of the lint rules."""

from collections.abc import Iterable, Mapping
from typing import Any

from gatepost.policy.analysis.findings import Finding
from gatepost.policy.analysis.lint import lint
from gatepost.policy.analysis.sides import Side
from gatepost.policy.model.bundle import RelayUser, Server
from tests.support.policies import NOW, document

MX1 = Server("mx1", labels={"site": "fra"}, addresses={"internal": "10.1.1.1"}, fqdn="mx1.contoso.com")


def side(
    *connectors: Mapping[str, Any],
    servers: Iterable[Server] = (MX1,),
    now: float = NOW,
    users: Iterable[RelayUser] = (),
    **parts: Any,
) -> Side:
    """`document` on some servers."""
    return Side(document(*connectors, **parts), servers, now=now, users=users)


def findings(rule: str, *connectors: Mapping[str, Any], **parts: Any) -> list[Finding]:
    """What one rule finds."""
    return [finding for finding in lint(side(*connectors, **parts)) if finding.rule == rule]


def only(rule: str, *connectors: Mapping[str, Any], **parts: Any) -> Finding:
    """The one finding of a rule."""
    (finding,) = findings(rule, *connectors, **parts)
    return finding
