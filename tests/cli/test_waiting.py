"""When waiting is over, and what is told meanwhile."""

import threading
from typing import Any

import pytest
from rich.console import Console

from gatepost.cli.waiting import Patience, judge, picture, summary, wait
from gatepost.client import Unreachable
from tests.cli.conftest import Plane
from tests.support.control_plane import DOCUMENT


def rollout(state: str = "progressing", **other: Any) -> dict[str, Any]:
    known = {
        "revision": 3,
        "state": state,
        "servers": {"running": 1, "settled": 1, "offered": 1},
        "waiting_for": ["mx3"],
        "unreachable": [],
        "failures": [],
    }
    return known | other


@pytest.mark.parametrize(
    ("found", "allowed", "ended"),
    [
        (rollout("succeeded"), 0, 0),
        (rollout("failed"), 0, 14),
        (rollout("superseded"), 0, 12),
        (rollout(), 0, None),
        (rollout(waiting_for=["mx3", "mx4"], unreachable=["mx4"]), 5, None),
        (rollout(unreachable=["mx3"]), 0, 16),
        (rollout(unreachable=["mx3"]), 1, 0),
        (rollout(waiting_for=["x"] * 100, unreachable=["x"] * 100), 1000, None),
    ],
)
def test_when_waiting_is_over(found: dict[str, Any], allowed: int, ended: int | None) -> None:
    assert judge(found, Patience(60, allowed)) == ended


def test_a_summary_names_who_is_missing() -> None:
    assert summary(rollout(unreachable=["mx3"])) == "2 of 3 running, 1 offered; waits for mx3 (not heard of)"
    many = [f"mx{number}" for number in range(20)]
    assert summary(rollout(waiting_for=many)).endswith("mx10, mx11 and 8 more")


def test_a_summary_says_why_a_server_failed() -> None:
    failure = {"server": "mx3", "state": "rejected", "reason": "0.0.0.0:25 is in use \x1b[2J"}
    told = summary(rollout("failed", failures=[failure], waiting_for=[]))
    assert told == r"2 of 3 running, 1 offered; mx3 rejected: 0.0.0.0:25 is in use \x1b[2J"


def test_the_picture_shows_the_same() -> None:
    out = Console(width=100, force_terminal=False)
    with out.capture() as capture:
        out.print(picture(rollout(unreachable=["mx3"]), "the control plane is away"))
    text = " ".join(capture.get().split())
    assert "2 of 3 running offered 1 mx3 on its way (not heard of) the control plane is away" in text


def test_a_control_plane_that_is_away_for_a_moment_is_waited_for(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests fail until the waiting has told about it; then the servers report."""
    agent = plane.enroll("mx1")
    assert plane.do(plane.world.publish(DOCUMENT)).status_code == 201
    away = threading.Event()
    told: list[str] = []
    with plane.client() as client:
        asked = client.rollouts.get

        def get(revision: int, *, wait_s: float = 0) -> dict[str, Any]:
            if wait_s and not away.is_set():
                raise Unreachable("nobody there")
            return asked(revision, wait_s=wait_s)

        def show(_found: dict[str, Any], remark: str) -> None:
            told.append(remark)
            if remark:
                away.set()
                plane.following(agent)

        monkeypatch.setattr(client.rollouts, "get", get)
        waited = wait(client, 1, Patience(20), show)
    assert waited.exit == 0
    assert "nobody there" in told


def test_a_control_plane_that_stays_away_is_17(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    plane.enroll("mx1")
    assert plane.do(plane.world.publish(DOCUMENT)).status_code == 201
    with plane.client() as client:
        first = client.rollouts.get(1)
        answers = iter([first])

        def get(_revision: int, *, wait_s: float = 0) -> dict[str, Any]:
            found = next(answers, None)
            if found is None:
                raise Unreachable(f"nobody there for {wait_s:g} s")
            return found

        monkeypatch.setattr(client.rollouts, "get", get)
        with pytest.raises(Unreachable):
            wait(client, 1, Patience(0.5))
