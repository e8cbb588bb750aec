"""The index: what is due, against the plainest possible model."""

from hypothesis import given
from hypothesis import strategies as st

from gatepost_agent.spool.schedule import Schedule
from gatepost_agent.spool.store import Listed

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "take", "give_back", "set_due", "hold", "release", "remove", "reload"]),
        st.integers(0, 7),
        st.integers(0, 9),
    ),
    max_size=40,
)


@given(STEPS)
def test_the_schedule_hands_out_what_a_sorted_list_would(steps: list[tuple[str, int, int]]) -> None:
    schedule = Schedule()
    model: dict[int, dict[str, float]] = {}
    for what, queue_id, number in steps:
        known = model.get(queue_id)
        if what == "add" and known is None:
            schedule.add(queue_id, float(number), 0.0, 10)
            model[queue_id] = {"due": number, "held": 0, "taken": 0}
        elif what == "take":
            free = [(m["due"], i) for i, m in model.items() if not m["held"] and not m["taken"]]
            due = [i for when, i in sorted(free) if when <= number][:3]
            assert schedule.take_due(float(number), 3) == due
            for i in due:
                model[i]["taken"] = 1
        elif what == "give_back" and known and known["taken"]:
            schedule.give_back(queue_id, float(number))
            known |= {"due": number, "taken": 0}
        elif what == "set_due" and known:
            schedule.set_due(queue_id, float(number))
            known["due"] = number
        elif what in ("hold", "release") and known:
            schedule.set_held(queue_id, held=what == "hold")
            known["held"] = what == "hold"
        elif what == "remove":
            schedule.remove(queue_id)
            model.pop(queue_id, None)
        elif what == "reload":
            schedule.load([Listed(i, False, bool(m["held"]), m["due"], 0.0, 10) for i, m in model.items()])
        free_times = [m["due"] for m in model.values() if not m["held"] and not m["taken"]]
        assert schedule.next_due() == min(free_times, default=None)
        assert schedule.bytes == 10 * len(model)
        assert schedule.held == sum(bool(m["held"]) for m in model.values())


def test_the_oldest_is_the_longest_waiting_one_that_is_not_held() -> None:
    schedule = Schedule()
    for queue_id in (1, 2, 3):
        schedule.add(queue_id, 100.0 - queue_id, float(queue_id), 1, held=queue_id == 1)
    assert schedule.oldest() == 2.0
    schedule.remove(2)
    assert schedule.oldest() == 3.0
    schedule.remove(3)
    assert schedule.oldest() is None


def test_taking_and_giving_back_for_ever_does_not_grow_the_heap() -> None:
    schedule = Schedule()
    schedule.add(1, 0.0, 0.0, 1)
    for now in range(1000):
        assert schedule.take_due(float(now), 5) == [1]
        schedule.give_back(1, float(now + 1))
    assert len(schedule._heap) <= 2
