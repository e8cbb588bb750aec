"""A plan: what publishing a document would change, before anybody is asked to agree to it."""

from collections.abc import Iterable, Iterator

from gatepost.policy.analysis.changes import Change, changes
from gatepost.policy.analysis.document_tests import TestResult
from gatepost.policy.analysis.exposure import NO_EXPOSURE, Exposure
from gatepost.policy.analysis.findings import Acknowledgement, Finding, Severity, open_findings
from gatepost.policy.analysis.lint import lint
from gatepost.policy.analysis.ranges import difference
from gatepost.policy.analysis.shown import Shown
from gatepost.policy.analysis.sides import Group, Side
from gatepost.policy.analysis.widening import Widening, widenings


class Addresses(Shown):
    """How many addresses of each IP version."""

    v4: int
    v6: int


class ExposureChange(Shown):
    """Exposure before and after on servers for which it is the same. added, removed: the exact difference."""

    servers: tuple[str, ...]
    before: Addresses
    after: Addresses
    added: tuple[str, ...]
    removed: tuple[str, ...]
    added_count: Addresses
    removed_count: Addresses
    domains_added: tuple[str, ...]
    domains_removed: tuple[str, ...]


class ServerChange(Shown):
    """One server. digest_before: None where nothing ran; digest_after: None where it cannot be compiled, and
    `problems` says why, or where the server is gone. Equal digests: it is not touched.
    """

    server: str
    digest_before: str | None
    digest_after: str | None
    opens: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    tests: tuple[TestResult, ...] = ()

    @property
    def touched(self) -> bool:
        return self.digest_before != self.digest_after


class Plan(Shown):
    """holding: the open findings that hold a publish up; with none it may go ahead.

    touched: the blast radius, names of servers whose bundle changes. findings: all of the new side, acknowledged
    ones included. only_narrows: nobody gains anything, so older findings do not hold it up.
    """

    changes: tuple[Change, ...]
    widenings: tuple[Widening, ...]
    only_narrows: bool
    servers: tuple[ServerChange, ...]
    exposure: tuple[ExposureChange, ...]
    findings: tuple[Finding, ...]
    holding: tuple[Finding, ...]
    touched: tuple[str, ...]


def plan(old: Side, new: Side, *, acknowledgements: Iterable[Acknowledgement] = (), now: float) -> Plan:
    """What going from one side to the other does. now: seconds since 1970, for acknowledgements that have run out.

    `old` is what is published. It may be kept from plan to plan as long as that document, the servers and the users
    stay: what was compiled for it is used again.
    """
    wider = widenings(old, new)
    only_narrows = not wider and _nothing_unknown(old, new)
    findings = lint(new)
    servers = tuple(_server(name, old, new) for name in dict.fromkeys((*old.servers, *new.servers)))
    return Plan(
        changes=changes(old.document, new.document),
        widenings=wider,
        only_narrows=only_narrows,
        servers=servers,
        exposure=tuple(_exposures(old, new)),
        findings=findings,
        holding=_holding(open_findings(findings, acknowledgements, now), only_narrows=only_narrows),
        touched=tuple(server.server for server in servers if server.touched),
    )


def _nothing_unknown(old: Side, new: Side) -> bool:
    """Whether winners tell all: every server compiles, and no relay for servers to come is new or was edited."""
    before = {model.name: model for model in old.document.connectors}
    settled = all(before.get(model.name) == model for models in new.unplaced() for model in models)
    return settled and all(group.policy is not None for group in new.groups)


def _holding(findings: tuple[Finding, ...], *, only_narrows: bool) -> tuple[Finding, ...]:
    """What narrows is held up only by what agents would reject: the danger is there already, and gets smaller."""
    blocking = (finding for finding in findings if finding.severity is Severity.BLOCKING)
    return tuple(finding for finding in blocking if finding.broken or not only_narrows)


def _server(name: str, old: Side, new: Side) -> ServerChange:
    before, after = old.group(name), new.group(name)
    heard = before.listeners if before else frozenset()
    hears = after.listeners if after else frozenset()
    problems = after.problems if after else ()
    return ServerChange(
        server=name,
        digest_before=old.digest(name) if before else None,
        digest_after=new.digest(name) if after and after.policy else None,
        opens=() if problems else tuple(sorted(hears - heard)),
        closes=() if problems else tuple(sorted(heard - hears)),
        problems=problems,
        tests=new.test_results.get(name, ()),
    )


def _exposures(old: Side, new: Side) -> Iterator[ExposureChange]:
    """One for each pair of groups, so that a thousand equal servers are told once; none where nothing would run."""
    pairs: dict[tuple[Group | None, Group | None], list[str]] = {}
    for name in dict.fromkeys((*old.servers, *new.servers)):
        pairs.setdefault((old.group(name), new.group(name)), []).append(name)
    for (before, after), names in pairs.items():
        if after and after.problems:
            continue
        was, is_ = (group.exposure if group else NO_EXPOSURE for group in (before, after))
        yield exposure_change(tuple(names), was, is_)


def exposure_change(servers: tuple[str, ...], was: Exposure, is_: Exposure) -> ExposureChange:
    """Two exposures compared."""
    added, removed = difference(is_.relay, was.relay), difference(was.relay, is_.relay)
    return ExposureChange(
        servers=servers,
        before=Addresses(v4=was.relay.size(4), v6=was.relay.size(6)),
        after=Addresses(v4=is_.relay.size(4), v6=is_.relay.size(6)),
        added=tuple(added.texts()),
        removed=tuple(removed.texts()),
        added_count=Addresses(v4=added.size(4), v6=added.size(6)),
        removed_count=Addresses(v4=removed.size(4), v6=removed.size(6)),
        domains_added=tuple(domain for domain in is_.domains if domain not in was.domains),
        domains_removed=tuple(domain for domain in was.domains if domain not in is_.domains),
    )
