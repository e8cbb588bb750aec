"""Health: conditions with a level, a reason, the config they were seen under, and since when."""

from gatepost_agent.health import BAD, GOOD, Conditions, Finding, noteworthy


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_nothing_found_is_ok_and_every_condition_is_told() -> None:
    health = Conditions().health((), 7)
    assert health.status == "ok"
    assert {c.type for c in health.conditions} == {*GOOD, *BAD}
    assert {c.observed_generation for c in health.conditions} == {7}
    assert noteworthy(health) == ()


def test_the_worst_finding_is_the_level() -> None:
    conditions = Conditions()
    assert conditions.health([Finding("ClockSkew", "ClockDiffers")], 1).status == "degraded"
    both = [Finding("ClockSkew", "ClockDiffers"), Finding("ListenersReady", "BindFailed", "port 25")]
    health = conditions.health(both, 1)
    assert health.status == "failing"
    assert {(c.type, c.status, c.reason) for c in noteworthy(health)} == {
        ("ListenersReady", "False", "BindFailed"),
        ("ClockSkew", "True", "ClockDiffers"),
    }


def test_what_an_operator_did_is_shown_and_is_no_illness() -> None:
    health = Conditions().health([Finding("DeniedHere", "Operator", "10.0.0.1 (floods)")], 1)
    assert health.status == "ok"
    assert [condition.type for condition in noteworthy(health)] == ["DeniedHere"]


def test_since_counts_from_the_last_change() -> None:
    clock = Clock()
    conditions = Conditions(clock)
    conditions.health((), 1)
    clock.now += 50
    finding = [Finding("QueueOld", "OldMessages")]
    conditions.health(finding, 1)
    clock.now += 5
    [old] = noteworthy(conditions.health(finding, 1))
    assert old.since_s == 5
    assert noteworthy(conditions.health((), 1)) == ()
