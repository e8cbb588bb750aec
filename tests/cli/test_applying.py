"""From a document to servers that run it, and every way in which that can end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost_api.auth import Role
from tests.cli.conftest import RELAY, Gatepost, Plane
from tests.support.control_plane import DOCUMENT, FakeAgent

Fleet = Callable[[str], Path]
NARROWER = DOCUMENT.replace("192.168.5.11, ", "")


def leave(plane: Plane, agent: FakeAgent) -> None:
    """The agent says goodbye: offline at once."""
    report = agent.report().model_dump_json()
    headers = {"Content-Type": "application/json"}
    answer = plane.do(agent.client.post("/agent/v1/goodbye", content=report, headers=headers))
    assert answer.is_success, answer.text


def test_apply_waits_until_every_server_runs_it(gatepost: Gatepost, plane: Plane, fleet_file: Fleet) -> None:
    for name in ("mx1", "mx2"):
        plane.following(plane.enroll(name))
    ran = gatepost(
        "apply", "-f", fleet_file(DOCUMENT), "-m", "first", "--wait", "--timeout", "20s", "-o", "json"
    )
    assert ran.code == 0, ran
    assert ran.json["revision"]["number"] == 1
    assert ran.json["revision"]["message"] == "first"
    assert "connectors/Anonymous Relay" in ran.json["changes"]["added"]
    assert ran.json["wait"]["outcome"] == "running"
    assert sum(ran.json["wait"]["servers"].values()) == 2
    assert gatepost("verify").code == 0
    assert gatepost("wait").code == 0


def test_apply_tells_people_on_stderr_what_it_waits_for(
    gatepost: Gatepost, plane: Plane, fleet_file: Fleet
) -> None:
    plane.following(plane.enroll("mx1"))
    ran = gatepost("apply", "-f", fleet_file(DOCUMENT), "--wait")
    assert (ran.code, ran.out) == (0, "")
    assert "Revision 1" in ran.err
    assert "1 of 1 running" in ran.err


def test_a_server_that_rejects_it_ends_the_waiting(
    gatepost: Gatepost, plane: Plane, fleet_file: Fleet
) -> None:
    agent = plane.enroll("mx1")
    agent.outcome = "rejected"
    plane.following(agent)
    ran = gatepost("apply", "-f", fleet_file(DOCUMENT), "--wait", "--timeout", "20s", "-o", "json")
    assert ran.code == 14, ran
    [failure] = ran.json["wait"]["failures"]
    assert (failure["server"], failure["state"]) == ("mx1", "rejected")
    assert gatepost("verify").code == 2


def test_a_server_that_says_nothing_is_waited_for_until_the_time_is_over(
    gatepost: Gatepost, plane: Plane, fleet_file: Fleet
) -> None:
    plane.enroll("mx1")
    ran = gatepost("apply", "-f", fleet_file(DOCUMENT), "--wait", "--timeout", "1s", "-o", "json")
    assert ran.code == 15, ran
    assert ran.json["wait"]["waiting_for"] == ["mx1"]


def test_a_server_that_is_away_does_not_hold_up_the_others(
    gatepost: Gatepost, plane: Plane, fleet_file: Fleet
) -> None:
    plane.following(plane.enroll("mx1"))
    leave(plane, plane.enroll("mx2"))
    ran = gatepost("apply", "-f", fleet_file(DOCUMENT), "--wait", "--timeout", "20s", "-o", "json")
    assert ran.code == 16, ran
    assert ran.json["wait"]["unreachable"] == ["mx2"]
    assert gatepost("wait", "--allow-unreachable", "1").code == 0


def test_rollback_publishes_the_older_document_again(gatepost: Gatepost, fleet_file: Fleet) -> None:
    gatepost("apply", "-f", fleet_file(DOCUMENT))
    before = gatepost("export", "-o", "json").json
    gatepost("apply", "-f", fleet_file(NARROWER))
    ran = gatepost("rollback", "1", "--reason", "too narrow", "-o", "json")
    assert ran.code == 0, ran
    assert (ran.json["revision"]["number"], ran.json["revision"]["rollback_of"]) == (3, 1)
    assert gatepost("export", "-o", "json").json == before


def test_publish_brings_the_draft_out(gatepost: Gatepost, plane: Plane, fleet_file: Fleet) -> None:
    gatepost("apply", "-f", fleet_file(NARROWER))
    with plane.client() as client:
        found = client.draft.get()
        client.draft.replace(found.body | {"accepted_domains": []}, etag=found.etag)
    ran = gatepost("publish", "-m", "no domains", "-o", "json")
    assert (ran.code, ran.json["revision"]["number"]) == (0, 2)


def test_a_document_that_undoes_unpublished_changes_names_them(
    gatepost: Gatepost, plane: Plane, fleet_file: Fleet
) -> None:
    file = fleet_file(DOCUMENT)
    gatepost("apply", "-f", file)
    gatepost("range", "add", RELAY, "192.168.5.12")
    with plane.client() as client:
        client.send_connectors.remove("Smart host")
    ran = gatepost("apply", "-f", file, "-o", "json")
    assert (ran.code, ran.json["changes"]["changed"]) == (0, ["connectors/Anonymous Relay"])
    gone = "connectors/Anonymous Relay, send_connectors/Smart host"
    assert f"The draft held unpublished changes that are gone: {gone}.\n" in ran.err


def test_unpublished_changes_are_kept_when_asked(gatepost: Gatepost, fleet_file: Fleet) -> None:
    file = fleet_file(DOCUMENT)
    gatepost("apply", "-f", file)
    gatepost("range", "add", RELAY, "192.168.5.12")
    before = gatepost("export").out
    ran = gatepost("apply", "-f", file, "--refuse-unpublished", "-o", "json")
    assert (ran.code, ran.json["error"]["type"]) == (12, "unpublished-changes")
    assert "connectors/Anonymous Relay" in ran.err
    assert gatepost("export").out == before
    assert len(gatepost("revisions", "-o", "json").json) == 1


def test_a_draft_without_changes_of_its_own_loses_none(
    gatepost: Gatepost, fleet_file: Fleet, tmp_path: Path
) -> None:
    exported = tmp_path / "exported.yaml"
    for text in (DOCUMENT, NARROWER):
        ran = gatepost("apply", "-f", fleet_file(text), "--refuse-unpublished")
        assert (ran.code, "unpublished" in ran.err) == (0, False)
    gatepost("range", "add", RELAY, "192.168.5.12", "--note", "scanner", "--expires-in", "7d")
    gatepost("export", "-f", exported)
    assert gatepost("apply", "-f", exported, "--refuse-unpublished").code == 0


def test_a_draft_before_the_first_revision_is_unpublished(
    gatepost: Gatepost, plane: Plane, fleet_file: Fleet
) -> None:
    with plane.client() as client:
        client.accepted_domains.create({"domain": "fabrikam.com", "type": "authoritative"})
    ran = gatepost("apply", "-f", fleet_file(DOCUMENT), "--refuse-unpublished")
    assert ran.code == 12
    assert "accepted_domains/fabrikam.com" in ran.err


def test_a_document_with_faults_is_told_before_anything_is_asked(bare: Gatepost, fleet_file: Fleet) -> None:
    wrong = fleet_file(DOCUMENT.replace("0.0.0.0:25", "25").replace("type: authoritative", "type: mine"))
    ran = bare("apply", "-f", wrong, "--url", "http://127.0.0.1:9", "-o", "json")
    assert ran.code == 10
    faults = {fault["pointer"]: fault for fault in ran.json["error"]["errors"]}
    assert faults["/connectors/0/bindings/0"]["value"] == "25"
    assert faults["/connectors/0/bindings/0"]["remedy"]
    assert "/accepted_domains/0/type" in faults
    assert "/connectors/0/bindings/0: " in ran.err


def test_two_equal_keys_are_told_with_their_line(bare: Gatepost, fleet_file: Fleet) -> None:
    ran = bare("apply", "-f", fleet_file("connectors: []\nconnectors: []\n"))
    assert ran.code == 10
    assert "Line 2" in ran.err


def test_a_viewer_may_not_apply(gatepost: Gatepost, fleet_file: Fleet) -> None:
    ran = gatepost("apply", "-f", fleet_file(DOCUMENT), "-o", "json", role=Role.viewer)
    assert (ran.code, ran.json["error"]["type"]) == (13, "not-allowed")


@pytest.mark.parametrize(
    "words",
    [
        ["apply"],
        ["apply", "-f", "no/such/fleet.yaml"],
        ["apply", "-f", "{file}", "--acknowledge", "f1"],
        ["apply", "-f", "{file}", "--reason", "because"],
        ["apply", "-f", "{file}", "--timeout", "soon"],
        ["rollback", "zero"],
        ["rollback"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    gatepost: Gatepost, fleet_file: Fleet, words: list[str]
) -> None:
    file = str(fleet_file(DOCUMENT))
    ran = gatepost(*(file if word == "{file}" else word for word in words), "-o", "json")
    assert (ran.code, ran.json["exit_code"], ran.json["error"]["type"]) == (64, 64, "usage")
