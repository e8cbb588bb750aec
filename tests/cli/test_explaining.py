"""`gatepost explain`: what is told beside the answer."""

from tests.cli.conftest import Gatepost, Plane
from tests.support.control_plane import DOCUMENT

QUESTION = ("explain", "--server", "mx1", "--remote", "192.168.5.10", "--rcpt-to", "kate@fabrikam.com")


def test_a_server_that_does_not_run_what_is_published_is_warned_about(
    plane: Plane, gatepost: Gatepost
) -> None:
    agent = plane.enroll("mx1")
    assert plane.do(plane.world.publish(DOCUMENT)).status_code == 201
    caveat = "mx1 runs nothing, not the published 1 (pending)"
    for_people, for_programs = gatepost(*QUESTION), gatepost(*QUESTION, "-o", "json")
    assert (for_people.code, for_people.err) == (0, f"warning: {caveat}\n")
    assert "accepted" in for_people.out
    assert for_programs.json["caveats"] == [caveat]
    plane.do(agent.checkin())
    plane.do(agent.checkin())
    assert gatepost(*QUESTION).err == ""
