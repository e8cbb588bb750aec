"""The tests of a fleet document: dialogues with the reply that must come."""

from collections.abc import Iterable

from gatepost.policy.analysis.explain import Explanation, explain, question_of
from gatepost.policy.analysis.shown import Shown
from gatepost.policy.dialogue.compiled import Policy
from gatepost.policy.dialogue.denied import NOBODY_DENIED, DeniedSet
from gatepost.policy.model.document import DialogueTest
from gatepost.policy.model.errors import BadValue


class TestResult(Shown):
    """How a test went. `got`: the whole last reply, or why there was none; `explanation` then is None."""

    __test__ = False  # not one of pytest's

    name: str
    server: str
    passed: bool
    expected: str
    got: str
    explanation: Explanation | None = None

    @property
    def told(self) -> str:
        """The result in one sentence."""
        if self.passed:
            return f"test {self.name!r}: {self.got}"
        reason = f" ({self.explanation.reason})" if self.explanation and self.explanation.reason else ""
        return f"test {self.name!r} expects {self.expected!r} and got {self.got!r}{reason}"


def run_tests(
    policy: Policy, tests: Iterable[DialogueTest], at: float, denied: DeniedSet = NOBODY_DENIED
) -> tuple[TestResult, ...]:
    """Every test of one server under the policy it runs. at: seconds since 1970, for tests without their own."""
    return tuple(run_test(policy, test, at, denied) for test in tests)


def run_test(policy: Policy, test: DialogueTest, at: float, denied: DeniedSet = NOBODY_DENIED) -> TestResult:
    """One test. The denied set is empty unless given: a block on a host is no fault of the document."""
    try:
        explanation = explain(policy, question_of(test), now=at, denied=denied)
    except BadValue as error:
        return _result(test, str(error), None)
    return _result(test, explanation.reply or explanation.reason, explanation)


def _result(test: DialogueTest, got: str, explanation: Explanation | None) -> TestResult:
    answered = explanation is not None and bool(explanation.reply)
    return TestResult(
        name=test.name,
        server=test.server,
        passed=answered and got.startswith(test.expect),
        expected=test.expect,
        got=got,
        explanation=explanation,
    )
