"""What the document itself says must hold: its tests and assertions."""

from collections.abc import Iterator

from gatepost.policy.analysis.document_tests import TestResult
from gatepost.policy.analysis.findings import Finding, Rule, Severity, found
from gatepost.policy.analysis.lint.context import Context, names
from gatepost.policy.analysis.ranges import difference, intersection, ranges
from gatepost.policy.analysis.sides import Group
from gatepost.policy.model.addresses import parse_range

TEST_FAILED = Rule(
    "test-failed",
    Severity.BLOCKING,
    "A test of the document fails",
    "Correct the connectors, or the test if it asks for the wrong thing; agents would reject this.",
    broken=True,
)
TEST_UNASKED = Rule(
    "test-without-server",
    Severity.WARNING,
    "A test is for a server that there is not",
    "Enrol the server, or name another: a test that never runs proves nothing.",
)
ASSERTION_FAILED = Rule(
    "assertion-failed",
    Severity.BLOCKING,
    "More clients may relay than an assertion allows",
    "Take these ranges out of the connectors, or let the assertion allow them.",
)


def tests(context: Context) -> Iterator[Finding]:
    side = context.side
    results = {result.name: result for listed in side.test_results.values() for result in listed}
    for at, test in enumerate(context.document.tests):
        if test.server not in side.servers:
            detail = f"test {test.name!r} is for {test.server!r}, which is not enrolled"
            yield found(TEST_UNASKED, detail, pointer=f"/tests/{at}/server", subject=test.name)
        elif test.name in results and not results[test.name].passed:
            result = results[test.name]
            yield found(
                TEST_FAILED,
                result.told,
                pointer=f"/tests/{at}",
                selectors=(test.server,),
                connectors=_connector(result),
                subject=f"{test.name}: {result.expected} / {result.got}",
            ).model_copy(update={"servers": (test.server,)})


def assertions(context: Context, group: Group) -> Iterator[Finding]:
    """The assertions of a group's servers, on their exposure."""
    for assertion in group.bundle.assertions:
        allowed = ranges(map(parse_range, assertion.relay_only_from))
        excess = difference(group.exposure.relay, allowed)
        if excess.empty:
            continue
        relaying = context.side.relaying(group)
        yield found(
            ASSERTION_FAILED,
            f"assertion {assertion.name!r} does not allow {excess.told()} to relay",
            pointer=f"/assertions/{context.document.assertions.index(assertion)}",
            selectors=assertion.servers,
            ranges=excess,
            connectors=names(c for c in relaying if not intersection(context.side.ranges(c), excess).empty),
            subject=assertion.name,
        )


def _connector(result: TestResult) -> tuple[str, ...]:
    explanation = result.explanation
    return (explanation.connector,) if explanation is not None and explanation.connector else ()
