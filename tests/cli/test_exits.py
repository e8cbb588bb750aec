"""The table of exit codes, row by row."""

import pytest
import typer

from gatepost.cli.errors import CommandError, UsageRefused
from gatepost.cli.exits import Exit, exit_of
from gatepost.cli.failures import fail
from gatepost.client import ApiProblem, RefusedUrl, Unreachable
from gatepost.documents import DocumentError
from gatepost.policy.model.errors import BadValue
from gatepost.probe import BadProbe
from gatepost_api.errors import TABLE


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DocumentError(()), 10),
        (BadValue("x", "not a range", "Write one."), 10),
        (CommandError("no"), 10),
        (UsageRefused("no"), 64),
        (RefusedUrl("no"), 64),
        (BadProbe("no"), 64),
        (Unreachable("no"), 17),
        (ZeroDivisionError("no"), 1),
    ],
)
def test_every_end_has_its_code(error: Exception, code: int) -> None:
    assert exit_of(error) == code


CODES = {
    "invalid": 10,
    "tests-failed": 10,
    "not-found": 10,
    "refused-by-policy": 11,
    "stale": 12,
    "precondition-required": 12,
    "name-taken": 12,
    "conflict": 12,
    "not-authenticated": 13,
    "not-allowed": 13,
    "banned": 13,
    "too-many-requests": 17,
    "unavailable": 17,
    "trouble": 1,
}


@pytest.mark.parametrize("slug", CODES)
def test_problems_of_the_control_plane_have_theirs(slug: str) -> None:
    kind = next(row for row in TABLE.values() if row.slug == slug)
    assert exit_of(ApiProblem(kind.status, kind.slug, kind.title, "")) == CODES[slug]


def test_no_client_error_of_the_control_plane_is_unexpected() -> None:
    meant_for_agents = {"protocol-too-old"}
    for kind in TABLE.values():
        if kind.status < 500 and kind.slug not in meant_for_agents | {"method-not-allowed", "not-acceptable"}:
            assert exit_of(ApiProblem(kind.status, kind.slug, kind.title, "")) is not Exit.UNEXPECTED, kind


def test_a_usage_error_of_the_parser_is_64(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(typer.BadParameter("no"), as_json=False) == 64
    assert capsys.readouterr().out == ""
