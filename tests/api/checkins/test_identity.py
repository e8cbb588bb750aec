"""Two hosts with one identity, told from restarts and from a host that went back in time."""

from gatepost_api.checkins.identity import WINDOW_S, Stream


def verdicts(*said: tuple[str, int], step_s: float = 1.0) -> list[str]:
    stream = Stream()
    return [stream.judge(incarnation, seq, number * step_s) for number, (incarnation, seq) in enumerate(said)]


def test_a_host_that_restarts_is_itself() -> None:
    assert verdicts(("a", 1), ("a", 2), ("b", 1), ("b", 2), ("c", 1)) == ["ok"] * 5


def test_a_repeated_report_is_no_step_back() -> None:
    assert verdicts(("a", 7), ("a", 7)) == ["ok", "ok"]


def test_of_two_that_take_turns_the_later_is_turned_away() -> None:
    assert verdicts(("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3)) == ["ok", "ok", "ok", "duplicate", "ok"]


def test_a_step_back_inside_an_incarnation_is_a_restored_snapshot() -> None:
    assert verdicts(("a", 9), ("a", 3), ("a", 4)) == ["ok", "went_back", "ok"]


def test_an_old_incarnation_after_the_window_is_a_restored_host() -> None:
    assert verdicts(("a", 1), ("b", 1), ("a", 2), step_s=WINDOW_S) == ["ok"] * 3
