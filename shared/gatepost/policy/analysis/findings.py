"""A finding: one thing about a configuration that somebody should know, or that must not be published.

Its id is a hash of the rule, of whom it is about (selectors as written, not the servers they select today, so that an
enrolment is no new finding) and of the exact ranges. What was acknowledged is thus exactly what was seen: any
widening is another id.
"""

import hashlib
import json
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from gatepost.policy.analysis.ranges import EMPTY, RangeSet
from gatepost.policy.analysis.shown import Shown


class Severity(StrEnum):
    """Blocking findings hold up a publish until they are gone or acknowledged."""

    BLOCKING = "blocking"
    WARNING = "warning"
    INFO = "info"


_ORDER = list(Severity)


class Rule(NamedTuple):
    """What is looked for. `broken`: agents would reject it or misunderstand it, so even what narrows is held up."""

    name: str
    severity: Severity
    title: str
    remedy: str
    acknowledgeable: bool = False
    broken: bool = False


class Finding(Shown):
    """pointer: an RFC 6901 JSON pointer into the fleet document. servers: by name, those it was found on."""

    id: str
    rule: str
    severity: Severity
    title: str
    detail: str
    pointer: str
    remedy: str
    acknowledgeable: bool
    broken: bool
    connectors: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()


class Acknowledgement(NamedTuple):
    """An admin takes a finding on. until: seconds since 1970; there is no acknowledgement for ever."""

    finding_id: str
    who: str
    why: str
    until: float


def found(
    rule: Rule,
    detail: str,
    *,
    pointer: str,
    selectors: Iterable[str] = (),
    ranges: RangeSet = EMPTY,
    connectors: tuple[str, ...] = (),
    subject: str = "",
) -> Finding:
    """A finding of a rule. subject: what else it is about, for rules where selectors and ranges do not say it."""
    texts = tuple(ranges.texts())
    return Finding(
        id=_id(rule.name, selectors, texts, subject),
        rule=rule.name,
        severity=rule.severity,
        title=rule.title,
        detail=detail,
        pointer=pointer,
        remedy=rule.remedy,
        acknowledgeable=rule.acknowledgeable,
        broken=rule.broken,
        connectors=connectors,
        ranges=texts,
    )


def _id(rule: str, selectors: Iterable[str], ranges: tuple[str, ...], subject: str) -> str:
    hashed = json.dumps([rule, sorted(set(selectors)), ranges, subject], separators=(",", ":"))
    return hashlib.sha256(hashed.encode()).hexdigest()[:32]


def merged(listed: Iterable[tuple[Finding, tuple[str, ...]]]) -> tuple[Finding, ...]:
    """Findings with the servers they were found on, each once, the gravest first."""
    servers: dict[str, dict[str, None]] = {}
    by_id: dict[str, Finding] = {}
    for finding, names in listed:
        by_id.setdefault(finding.id, finding)
        servers.setdefault(finding.id, {}).update(dict.fromkeys((*finding.servers, *names)))
    complete = [f.model_copy(update={"servers": tuple(servers[f.id])}) for f in by_id.values()]
    return tuple(sorted(complete, key=lambda f: (_ORDER.index(f.severity), f.rule, f.pointer, f.id)))


def open_findings(
    findings: Iterable[Finding], acknowledgements: Iterable[Acknowledgement], now: float
) -> tuple[Finding, ...]:
    """The findings that no acknowledgement covers now (seconds since 1970)."""
    taken_on = {given.finding_id for given in acknowledgements if given.until > now}
    return tuple(f for f in findings if not (f.acknowledgeable and f.id in taken_on))
