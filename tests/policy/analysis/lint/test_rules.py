"""The rules themselves: each has its own name, a remedy, and a test in this folder."""

from pathlib import Path

import pytest

from gatepost.policy.analysis.findings import Rule, Severity
from gatepost.policy.analysis.lint import bindings, domains, expectations, expiry, hints, relay, sources

MODULES = (bindings, domains, expectations, expiry, hints, relay, sources)
RULES = [value for module in MODULES for value in vars(module).values() if isinstance(value, Rule)]
TESTS = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))


def test_names_are_unique() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert len(RULES) >= 20


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_has_a_remedy_and_a_test(rule: Rule) -> None:
    assert rule.remedy.endswith(".")
    assert f'"{rule.name}"' in TESTS
    assert rule.severity is Severity.BLOCKING or not (rule.acknowledgeable or rule.broken)
    assert not (rule.acknowledgeable and rule.broken)
