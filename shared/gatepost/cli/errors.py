"""What ends a command early, beside the client's errors."""

from collections.abc import Mapping, Sequence
from typing import Any


class CommandError(Exception):
    """What was asked for cannot be done with what is there; the text names it and the remedy."""


class Interrupted(Exception):
    """Ctrl-C; what was asked of the control plane before it stands."""


class PlanRefused(CommandError):
    """A publish would be refused, so nothing was changed; `findings` hold it up. type: the problem it would be."""

    def __init__(self, findings: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("Publishing this would be refused; the draft was left as it is.")
        self.findings = list(findings)
        only_tests = all(finding["rule"] == "test-failed" for finding in findings)
        self.type = "tests-failed" if only_tests else "refused-by-policy"


class UsageRefused(Exception):
    """The command line cannot be meant: a missing setting, options that exclude each other, no such file."""
