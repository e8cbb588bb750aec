"""How servers stand to what is published, from what the API says of them."""

from typing import Any

import pytest

from gatepost.cli.standing import Standing, drift, fleet, standing, why

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def server(
    state: str = "settled", *, online: bool = True, running: str | None = DIGEST, **other: Any
) -> dict[str, Any]:
    known: dict[str, Any] = {
        "name": "mx1",
        "state": "active",
        "online": online,
        "last_seen": "2026-12-24T18:00:00Z",
        "assignment": {"generation": 7, "revision": 3, "digest": DIGEST, "state": state, "reason": ""},
        "running": None if running is None else {"generation": 7, "digest": running, "settled": True},
        "last_attempt": {"generation": 7, "outcome": "applied", "phase": "", "errors": []},
    }
    return known | other


@pytest.mark.parametrize(
    ("state", "online", "expected"),
    [
        ("none", True, Standing.DONE),
        ("running", True, Standing.DONE),
        ("settled", False, Standing.DONE),
        ("pending", True, Standing.ON_ITS_WAY),
        ("offered", True, Standing.ON_ITS_WAY),
        ("applying", True, Standing.ON_ITS_WAY),
        ("a state of a later version", True, Standing.ON_ITS_WAY),
        ("pending", False, Standing.OFFLINE),
        ("rejected", True, Standing.FAILED),
        ("rolled_back", False, Standing.FAILED),
        ("blocked", True, Standing.STUCK),
        ("held", True, Standing.STUCK),
    ],
)
def test_a_state_means_something_to_who_waits(state: str, online: bool, expected: Standing) -> None:
    assert standing(server(state, online=online)) is expected


def test_a_failure_says_its_phase_and_reason() -> None:
    attempt = {
        "generation": 7,
        "outcome": "rejected",
        "phase": "bind",
        "errors": [{"type": "bind-failed", "detail": "0.0.0.0:25 is in use"}],
    }
    assert why(server("rejected", last_attempt=attempt)) == "rejected in phase bind: 0.0.0.0:25 is in use"


def test_an_old_attempt_is_not_given_as_the_reason() -> None:
    attempt = {"generation": 6, "outcome": "rejected", "phase": "bind", "errors": []}
    assert "bind" not in why(server("rolled_back", last_attempt=attempt))


def test_retired_servers_do_not_count() -> None:
    assert fleet([server(), server(state="active"), server() | {"state": "retired"}]).names(*Standing) == [
        "mx1",
        "mx1",
    ]


def test_no_drift_where_the_published_digest_runs() -> None:
    assert drift(server()) == []
    assert (
        drift(
            server("none", running=None) | {"assignment": {"generation": 0, "digest": None, "state": "none"}}
        )
        == []
    )


def test_drift_where_something_else_runs() -> None:
    assert drift(server(running=OTHER)) == ["runs bbbbbbbbbbbb, should run aaaaaaaaaaaa"]
    assert drift(server(running=None)) == ["runs nothing, should run aaaaaaaaaaaa"]


def test_drift_where_the_last_attempt_failed() -> None:
    attempt = {"generation": 7, "outcome": "rolled_back", "phase": "probation", "errors": []}
    assert len(drift(server("rolled_back", running=OTHER, last_attempt=attempt))) == 2
