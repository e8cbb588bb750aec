"""Planning in plain values: runs in the workshop, which keeps the published side compiled between plans."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from gatepost.policy.analysis.findings import Acknowledgement, Finding, Severity, open_findings
from gatepost.policy.analysis.lint import lint
from gatepost.policy.analysis.plan import Plan, plan
from gatepost.policy.analysis.sides import Side
from gatepost.policy.model.bundle import RelayUser, Server, selects
from gatepost.policy.model.document import FleetDocument
from gatepost_api.documents import document_of
from gatepost_api.revisions.rendering import Rendered, ServerFacts, render_fleet

KEPT_S = 300  # how old the clock of a kept side may be: expired ranges only narrow it


class Published(NamedTuple):
    """What is in force: a revision's text and the servers as they were published; no revision is empty text.

    `users`: the relay users, whose changes are in force at once.
    """

    text: str
    servers: tuple[ServerFacts, ...]
    users: tuple[RelayUser, ...]


class Judged(NamedTuple):
    """A publish worked out: what its plan decides by, and what every server would run."""

    only_narrows: bool
    findings: tuple[Finding, ...]
    holding: tuple[Finding, ...]
    rendered: Rendered


class Asked(NamedTuple):
    """What is to be planned: going from what is published to `content` on these servers, at a time."""

    content: dict[str, Any]
    servers: Sequence[ServerFacts]
    published: Published
    acknowledgements: Sequence[Acknowledgement]
    now: float


def judge(asked: Asked) -> Judged:
    """Whether it may be published, and what it comes to. Raises Invalid when the content is no document."""
    document = document_of(asked.content)
    found = _plan(document, asked)
    rendered = render_fleet(document, asked.servers, asked.published.users)
    return Judged(found.only_narrows, found.findings, found.holding, rendered)


def plan_text(asked: Asked) -> str:
    """The whole plan as JSON: text, since ten thousand servers' changes are slow to hand over as objects."""
    return _plan(document_of(asked.content), asked).model_dump_json()


def _plan(document: FleetDocument, asked: Asked) -> Plan:
    servers = [_server(facts) for facts in asked.servers]
    new = Side(document, servers, now=asked.now, users=asked.published.users)
    old = _kept.side_of(asked.published, asked.now)
    return plan(old, new, acknowledgements=asked.acknowledgements, now=asked.now)


def holding_one(
    text: str,
    server: ServerFacts,
    users: Sequence[RelayUser],
    acknowledgements: Sequence[Acknowledgement],
    now: float,
) -> tuple[Finding, ...]:
    """The open findings that keep one new server from running what is published; other servers' doors are not its."""
    document, host = _document(text), _server(server)
    mine = tuple(connector for connector in document.connectors if selects(connector.servers, host))
    side = Side(document.model_copy(update={"connectors": mine}), [host], now=now, users=users)
    found = open_findings(lint(side), acknowledgements, now)
    return tuple(finding for finding in found if finding.severity is Severity.BLOCKING)


def failing_logons(
    text: str, servers: Sequence[ServerFacts], users: Sequence[RelayUser], now: float
) -> tuple[str, ...]:
    """What is told about published tests that log on as a relay user and would fail with these users.

    Agents would reject such a bundle. now: seconds since 1970, the time that agents run tests at.
    """
    document = _document(text)
    asked = tuple(test for test in document.tests if test.user is not None)
    if not asked:
        return ()
    side = Side(
        document.model_copy(update={"tests": asked}), [_server(one) for one in servers], now=now, users=users
    )
    results = (result for some in side.test_results.values() for result in some)
    return tuple(result.told for result in results if not result.passed)


class _Kept:
    """The published side of the last plan, compiled; documents of 100,000 ranges take a second to get there."""

    published: Published | None = None
    side: Side | None = None

    def side_of(self, published: Published, now: float) -> Side:
        if self.side is None or self.published != published or now - self.side.now > KEPT_S:
            document = _document(published.text) if published.text else FleetDocument()
            servers = [_server(facts) for facts in published.servers]
            self.side = Side(document, servers, now=now, users=published.users)
            self.published = published
        return self.side


_kept = _Kept()


@lru_cache(maxsize=2)
def _document(text: str) -> FleetDocument:
    return FleetDocument.model_validate_json(text)


def _server(facts: ServerFacts) -> Server:
    return Server(name=facts.name, labels=facts.labels, addresses=facts.addresses, fqdn=facts.fqdn)
