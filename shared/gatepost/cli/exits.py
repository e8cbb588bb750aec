"""Exit codes: the one place where a result becomes one. The table is the reference's CLI contract.

Everything a command can end with is an `Answer` (what it found) or an exception of this table.
"""

from enum import IntEnum

from gatepost.cli.errors import CommandError, Interrupted, PlanRefused, UsageRefused
from gatepost.client import ApiProblem, RefusedUrl, Unreachable
from gatepost.documents import DocumentError
from gatepost.policy.model.errors import BadValue
from gatepost.probe import BadProbe


class Exit(IntEnum):
    """What a pipeline may rely on."""

    DONE = 0  # done, or nothing to change
    UNEXPECTED = 1  # an unexpected error; for `probe`: refused
    CHANGES = 2  # `plan --detailed-exitcode`: changes; `verify`: drift
    INVALID = 10  # an invalid document or value, a failed embedded test, a name that is not there
    REFUSED = 11  # refused by policy
    STALE = 12  # somebody else changed it meanwhile, or the name is taken
    NOT_ALLOWED = 13  # not authenticated, or the role does not allow it
    ROLLED_BACK = 14  # servers rejected it or went back
    TIMED_OUT = 15  # still progressing when the time was over
    SERVERS_UNREACHABLE = 16  # done except on servers that are not heard of
    UNREACHABLE = 17  # the control plane cannot be reached, or is overloaded
    USAGE = 64  # EX_USAGE of sysexits.h
    INTERRUPTED = 130  # Ctrl-C, as shells count it


_BY_TYPE = {"refused-by-policy": Exit.REFUSED, "tests-failed": Exit.INVALID, "banned": Exit.NOT_ALLOWED}
_BY_STATUS = {
    400: Exit.INVALID,
    401: Exit.NOT_ALLOWED,
    403: Exit.NOT_ALLOWED,
    404: Exit.INVALID,
    409: Exit.STALE,
    410: Exit.INVALID,
    412: Exit.STALE,
    413: Exit.INVALID,
    415: Exit.INVALID,
    422: Exit.INVALID,
    428: Exit.STALE,
    429: Exit.UNREACHABLE,
    503: Exit.UNREACHABLE,
}


def exit_of_problem(problem: ApiProblem) -> Exit:
    """By the problem's type where that says more than its status."""
    return _BY_TYPE.get(problem.type) or _BY_STATUS.get(problem.status, Exit.UNEXPECTED)


def exit_of(error: Exception) -> Exit:
    """The exit code of whatever ended a command."""
    if isinstance(error, ApiProblem):
        return exit_of_problem(error)
    if isinstance(error, PlanRefused):
        return _BY_TYPE[error.type]
    for kinds, code in (
        ((DocumentError, BadValue, CommandError), Exit.INVALID),
        ((UsageRefused, RefusedUrl, BadProbe), Exit.USAGE),
        ((Unreachable,), Exit.UNREACHABLE),
        ((Interrupted,), Exit.INTERRUPTED),
    ):
        if isinstance(error, kinds):
            return code
    return Exit.UNEXPECTED
