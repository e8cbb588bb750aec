"""How servers stand to what is published, from what the API says of them."""

from typing import Any

from gatepost.cli.standing import drift, why

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


def test_drift_where_the_generation_is_another() -> None:
    found = server() | {"running": {"generation": 6, "digest": DIGEST}}
    assert drift(found) == ["runs generation 6, should run 7"]


def test_drift_where_an_operator_has_to_choose() -> None:
    held = server("held")
    held["assignment"]["reason"] = "generation 70 was not issued here"
    assert drift(held) == ["held: generation 70 was not issued here"]


def test_drift_where_the_last_attempt_failed() -> None:
    attempt = {"generation": 7, "outcome": "rolled_back", "phase": "probation", "errors": []}
    assert len(drift(server("rolled_back", running=OTHER, last_attempt=attempt))) == 2
