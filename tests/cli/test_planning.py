"""Plan and export against the real control plane, and what a refused apply leaves behind: nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.documents import load_document
from gatepost_api.auth import Role
from tests.cli.conftest import RELAY, Gatepost, Plane
from tests.cli.test_reports import ELSEWHERE, TESTED, WIDE
from tests.support.control_plane import DOCUMENT

Fleet = Callable[[str], Path]
OPEN = DOCUMENT.replace("10.20.0.0/24", "0.0.0.0/1, 128.0.0.0/1")


@pytest.fixture(autouse=True)
def mx1(plane: Plane) -> None:
    plane.enroll("mx1")


def test_a_plan_changes_nothing_and_says_what_would(gatepost: Gatepost, fleet_file: Fleet) -> None:
    ran = gatepost("plan", "-f", fleet_file(DOCUMENT), "-o", "json", role=Role.viewer)
    assert ran.code == 0, ran
    assert ran.json["touched"] == ["mx1"]
    assert ran.json["base"]
    assert gatepost("export", "-o", "json").json == {}


def test_changes_are_exit_2_when_asked(gatepost: Gatepost, fleet_file: Fleet) -> None:
    file = fleet_file(DOCUMENT)
    assert gatepost("plan", "-f", file, "--detailed-exitcode").code == 2
    assert gatepost("apply", "-f", file).code == 0
    ran = gatepost("plan", "-f", file, "--detailed-exitcode")
    assert ran.code == 0
    assert ran.out.endswith("No changes.\n")


def test_the_draft_is_planned_without_a_file(gatepost: Gatepost, fleet_file: Fleet) -> None:
    gatepost("apply", "-f", fleet_file(DOCUMENT))
    gatepost("range", "add", RELAY, "192.168.5.12")
    assert "+ range 192.168.5.12" in gatepost("plan").out


def test_a_plan_that_policy_refuses_is_11(gatepost: Gatepost, fleet_file: Fleet) -> None:
    ran = gatepost("plan", "-f", fleet_file(OPEN))
    assert ran.code == 11
    assert ran.out.startswith("Holds a publish up\n  blocking ")


def test_a_failing_test_is_10_in_junit_and_markdown_too(
    gatepost: Gatepost, fleet_file: Fleet, tmp_path: Path
) -> None:
    junit = tmp_path / "tests.xml"
    ran = gatepost("plan", "-f", fleet_file(TESTED), "--markdown", "--junit", junit)
    assert ran.code == 10
    assert ran.out.startswith("## Gatepost plan")
    assert 'failures="1"' in junit.read_text()


def test_tests_that_never_run_are_told_of_a_file_and_of_the_draft(
    gatepost: Gatepost, fleet_file: Fleet, tmp_path: Path
) -> None:
    junit, file = tmp_path / "tests.xml", fleet_file(ELSEWHERE)
    planned = gatepost("plan", "-f", file, "--junit", junit)
    assert planned.code == 0
    assert "0 passed, 0 failed, 2 not run." in planned.out
    assert junit.read_text().count('<skipped message="mx-fra is not enrolled"') == 2
    gatepost("apply", "-f", file)
    assert gatepost("plan").out.endswith("No changes; tests: 2 not run.\n")


def test_a_report_that_cannot_be_written_is_told(
    gatepost: Gatepost, fleet_file: Fleet, tmp_path: Path
) -> None:
    ran = gatepost("plan", "-f", fleet_file(DOCUMENT), "--junit", tmp_path / "no" / "folder.xml")
    assert ran.code == 64
    assert "cannot be written" in ran.err


@pytest.mark.parametrize(
    ("text", "code", "kind"), [(OPEN, 11, "refused-by-policy"), (TESTED, 10, "tests-failed")]
)
def test_a_refused_apply_leaves_the_draft_alone(
    gatepost: Gatepost, fleet_file: Fleet, text: str, code: int, kind: str
) -> None:
    gatepost("apply", "-f", fleet_file(DOCUMENT))
    before = gatepost("export").out
    ran = gatepost("apply", "-f", fleet_file(text), "-o", "json")
    assert (ran.code, ran.json["exit_code"], ran.json["error"]["type"]) == (code, code, kind)
    assert ran.json["error"]["findings"]
    assert "blocking" in ran.err
    assert gatepost("export").out == before
    assert len(gatepost("revisions", "-o", "json").json) == 1


def test_a_refused_publish_of_the_draft_says_the_same(gatepost: Gatepost, plane: Plane) -> None:
    with plane.client() as client:
        found = client.draft.get()
        client.draft.replace(
            load_document(OPEN).model_dump(mode="json", exclude_defaults=True), etag=found.etag
        )
    ran = gatepost("publish", "-o", "json")
    assert (ran.code, ran.json["error"]["type"]) == (11, "refused-by-policy")
    assert ran.json["error"]["findings"][0]["severity"] == "blocking"
    assert "blocking" in ran.err


def test_an_admin_may_take_a_finding_on(gatepost: Gatepost, fleet_file: Fleet) -> None:
    file = fleet_file(WIDE)
    refused = gatepost("apply", "-f", file, "-o", "json")
    assert refused.code == 11
    findings = refused.json["error"]["findings"]
    assert [finding["acknowledgeable"] for finding in findings] == [True] * len(findings)
    ids = [word for finding in findings for word in ("--acknowledge", finding["id"])]
    taken_on = [*ids, "--reason", "a plant floor of 10.0.0.0/8", "--until", "2026-12-31"]
    assert gatepost("apply", "-f", file, *taken_on, role=Role.operator).code == 13
    ran = gatepost("apply", "-f", file, *taken_on, "-o", "json")
    assert ran.code == 0, ran
    assert "a plant floor" in gatepost("audit", "-o", "json").out


def test_what_is_exported_can_be_applied(gatepost: Gatepost, fleet_file: Fleet, tmp_path: Path) -> None:
    gatepost("apply", "-f", fleet_file(DOCUMENT))
    out = tmp_path / "exported.yaml"
    assert gatepost("export", "-f", out).code == 0
    assert load_document(out.read_text()) == load_document(DOCUMENT)
    assert gatepost("plan", "-f", out, "--detailed-exitcode").code == 0
