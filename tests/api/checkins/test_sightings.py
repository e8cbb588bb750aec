"""Devices over an agent's lives: nothing is lost when it starts again, nothing counted twice when it repeats."""

from datetime import UTC, datetime, timedelta
from typing import Any

from gatepost.wire import DeviceRow
from gatepost_api.checkins.sightings import MAX_KINDS, Sighting, absorbed, sighted, totals

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def row(accepted: int = 0, *, first: float = 60, last: float = 0, **other: Any) -> DeviceRow:
    return DeviceRow(
        address="10.0.0.1", connector="Relay", range="10.0.0.0/8", accepted=accepted,
        first_seen_age_s=first, last_seen_age_s=last, **other,
    )  # fmt: skip


def accepted(known: Sighting) -> int:
    found: int = totals(known.seen)["accepted"]
    return found


def test_ages_count_back_from_when_the_report_came() -> None:
    known = sighted(None, row(2, first=90, last=30), "one", NOW)
    assert (known.first_seen, known.last_seen) == (NOW - timedelta(seconds=90), NOW - timedelta(seconds=30))
    assert (known.range, accepted(known)) == ("10.0.0.0/8", 2)


def test_a_report_again_and_a_later_one_replace_what_the_life_had_counted() -> None:
    known = sighted(None, row(2, refused={"550 5.7.1": 1}), "one", NOW)
    known = sighted(known, row(2, refused={"550 5.7.1": 1}), "one", NOW)
    known = sighted(known, row(5, refused={"550 5.7.1": 4}), "one", NOW)
    assert totals(known.seen) == {"accepted": 5, "refused": {"550 5.7.1": 4}, "tolerances": {}}


def test_an_agent_that_starts_again_adds_to_what_it_had_counted() -> None:
    known = sighted(None, row(2, tolerances={"bare_lf_line": 1}), "one", NOW)
    later = NOW + timedelta(hours=1)
    for at in (later, later + timedelta(minutes=1)):
        age = (at - later).total_seconds() + 10
        known = sighted(known, row(3, first=age, tolerances={"bare_lf_line": 1}), "two", at)
    assert totals(known.seen) == {"accepted": 5, "refused": {}, "tolerances": {"bare_lf_line": 2}}
    assert known.first_seen == NOW - timedelta(seconds=60)


def test_an_agent_that_forgot_the_address_counts_from_nothing() -> None:
    known = sighted(None, row(7), "one", NOW)
    known = sighted(known, row(1, first=5), "one", NOW + timedelta(hours=2))
    assert accepted(known) == 8


def test_a_new_incarnation_that_counts_on_is_the_same_life() -> None:
    known = sighted(None, row(7, first=60), "one", NOW)
    known = sighted(known, row(9, first=120.5), "two", NOW + timedelta(seconds=60))
    assert accepted(known) == 9


def test_what_a_device_no_longer_says_is_kept() -> None:
    known = sighted(None, row(helo="printer", tls="TLSv1.3"), "one", NOW)
    known = sighted(known, DeviceRow(address="10.0.0.1"), "one", NOW)
    assert (known.range, known.seen["helo"], known.seen["tls"]) == ("10.0.0.0/8", "printer", "TLSv1.3")


def test_times_that_cannot_be_are_bounded() -> None:
    known = sighted(None, row(first=1e12, last=-5), "one", NOW)
    assert known.first_seen == NOW - timedelta(days=366)
    assert known.last_seen == NOW


def test_a_row_keeps_a_bounded_number_of_kinds() -> None:
    known = sighted(None, row(refused={f"{number} x": 1 for number in range(500)}), "one", NOW)
    known = sighted(known, row(refused={f"{number} y": 1 for number in range(500)}), "two", NOW)
    assert len(totals(known.seen)["refused"]) == MAX_KINDS


def test_the_overflow_row_sums_up_and_takes_no_name() -> None:
    one = sighted(None, row(2, refused={"550 5.7.1": 1}, helo="printer"), "one", NOW)
    two = sighted(None, row(3, first=900), "one", NOW)
    rest = absorbed(absorbed(None, one), two)
    assert totals(rest.seen) == {"accepted": 5, "refused": {"550 5.7.1": 1}, "tolerances": {}}
    assert (rest.range, rest.seen["helo"]) == ("", "")
    assert rest.first_seen == NOW - timedelta(seconds=900)
    told = sighted(rest, DeviceRow(address="other", accepted=4), "one", NOW)
    assert accepted(told) == 9
