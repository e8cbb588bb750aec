"""What counts as odd: names in a moving ten minutes, and an hour against those before, in bounded memory."""

import pytest

from gatepost_agent.device_watch import FEWEST, HOUR_S, MANY_NAMES, NAMES_S, Names, Volume


def test_more_than_twenty_names_in_ten_minutes_are_many() -> None:
    names = Names()
    for number in range(MANY_NAMES):
        names.note(f"host{number}", float(number))
    assert not names.are_many(float(MANY_NAMES))
    names.note("one.more", float(MANY_NAMES))
    assert names.are_many(float(MANY_NAMES))


def test_names_are_many_only_as_long_as_all_of_them_are_recent() -> None:
    names = Names()
    for number in range(MANY_NAMES + 1):
        names.note(f"host{number}", float(number))
    assert names.are_many(NAMES_S - 1)
    assert not names.are_many(NAMES_S)
    names.note("host0", NAMES_S)  # twenty-one again within ten minutes
    assert names.are_many(NAMES_S + 0.5)


def test_one_name_in_any_case_is_one() -> None:
    names = Names()
    for number in range(100):
        names.note("Printer" if number % 2 else "PRINTER", float(number))
    assert not names.are_many(100.0)


def test_a_million_names_are_not_kept() -> None:
    names = Names()
    for number in range(10_000):
        names.note(f"host{number}", float(number) / 1000)
    assert len(names._latest) == MANY_NAMES + 1
    assert names.are_many(10.0)


def hours(volume: Volume, *messages: int, begin: int = 0) -> list[bool]:
    """What is said at the end of hours with so many messages each."""
    total = 0
    told = []
    for number, sent in enumerate(messages, begin):
        volume.is_odd(total, number * HOUR_S)
        total += sent
        told.append(volume.is_odd(total, number * HOUR_S + HOUR_S - 1))
    return told


def test_ten_times_the_usual_hour_is_odd_and_less_is_not() -> None:
    assert hours(Volume(), 40, 40, 40, 400) == [False] * 4
    assert hours(Volume(), 40, 40, 40, 401) == [False, False, False, True]


def test_hours_without_mail_do_not_make_the_usual_one_small() -> None:
    assert hours(Volume(), 200, 0, 0, 200, 0, 200, *[0] * 48, 1500)[-1] is False


def test_a_few_messages_are_never_odd() -> None:
    assert hours(Volume(), 1, 1, 1, FEWEST)[-1] is False
    assert hours(Volume(), 1, 1, 1, FEWEST + 1)[-1] is True


def test_there_is_no_usual_hour_at_first() -> None:
    assert hours(Volume(), 1, 100_000) == [False, False]


def test_a_flood_stays_odd_for_hours_and_does_not_become_usual_at_once() -> None:
    assert hours(Volume(), 50, 50, 50, *[5000] * 5)[3:] == [True] * 5


def test_what_grows_slowly_becomes_usual() -> None:
    growing = [round(50 * 1.2**hour) for hour in range(40)]
    assert not any(hours(Volume(), *growing))


@pytest.mark.parametrize("times", [1, 60])
def test_how_often_it_is_asked_does_not_matter(times: int) -> None:
    volume, total = Volume(), 0
    told = []
    for hour, sent in enumerate((60, 60, 60, 1200)):
        told += [
            volume.is_odd(total + sent * part // times, (hour + part / times) * HOUR_S)
            for part in range(times)
        ]
        total += sent
    assert volume.is_odd(total, 4 * HOUR_S - 1)
    assert told.count(True) == (29 if times == 60 else 0)  # from the 31st minute on
