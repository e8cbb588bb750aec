"""Planning in plain values: runs in the workshop, which keeps the published side compiled between plans."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from gatepost.policy.analysis.findings import Acknowledgement, Finding, Severity, open_findings
from gatepost.policy.analysis.lint import lint
from gatepost.policy.analysis.plan import Plan, plan
from gatepost.policy.analysis.sides import Side
from gatepost.policy.model.bundle import Server
from gatepost.policy.model.document import FleetDocument
from gatepost_api.documents import document_of
from gatepost_api.revisions.rendering import Rendered, ServerFacts, render_fleet

KEPT_S = 300  # how old the clock of a kept side may be: expired ranges only narrow it


class Published(NamedTuple):
    """What is in force: a revision's text and the servers as they were published; no revision is empty text."""

    text: str
    servers: tuple[ServerFacts, ...]


class Judged(NamedTuple):
    """A publish worked out: the plan, and what every server would run."""

    plan: Plan
    rendered: Rendered


def judge(
    content: dict[str, Any],
    servers: Sequence[ServerFacts],
    published: Published,
    acknowledgements: Sequence[Acknowledgement],
    now: float,
) -> Judged:
    """Plan going from what is published to `content`. Raises Invalid when the content is no document."""
    new = Side(document_of(content), [_server(facts) for facts in servers], now=now)
    old = _kept.side_of(published, now)
    found = plan(old, new, acknowledgements=acknowledgements, now=now)
    return Judged(plan=found, rendered=render_fleet(content, servers))


def holding_one(
    text: str, server: ServerFacts, acknowledgements: Sequence[Acknowledgement], now: float
) -> tuple[Finding, ...]:
    """The open findings that keep one new server from running what is published."""
    side = Side(_document(text), [_server(server)], now=now)
    found = open_findings(lint(side), acknowledgements, now)
    return tuple(finding for finding in found if finding.severity is Severity.BLOCKING)


class _Kept:
    """The published side of the last plan, compiled; documents of 100,000 ranges take a second to get there."""

    published: Published | None = None
    side: Side | None = None

    def side_of(self, published: Published, now: float) -> Side:
        if self.side is None or self.published != published or now - self.side.now > KEPT_S:
            document = _document(published.text) if published.text else FleetDocument()
            self.side = Side(document, [_server(facts) for facts in published.servers], now=now)
            self.published = published
        return self.side


_kept = _Kept()


@lru_cache(maxsize=2)
def _document(text: str) -> FleetDocument:
    return FleetDocument.model_validate_json(text)


def _server(facts: ServerFacts) -> Server:
    return Server(name=facts.name, labels=facts.labels, addresses=facts.addresses, fqdn=facts.fqdn)
