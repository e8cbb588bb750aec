"""Devices over the lives of an agent: values in, values out.

An agent counts for each client address at each connector from its start, or from when it had forgotten the address.
So a device keeps what the present life has counted, which each report replaces, beside what earlier lives had counted.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from gatepost.wire import DeviceRow

Json = dict[str, Any]
OVERFLOW = "other"  # the address of the row that holds what was counted for addresses no longer kept
NOTHING: Json = {"accepted": 0, "refused": {}, "tolerances": {}}
SAME_BEGINNING_S = 5.0  # how far a time may be off that is worked out from an age
LONGEST_AGE_S = 366 * 86400.0
MAX_KINDS = 100  # of refusals and tolerances in one row; an agent has half as many
MAX_KIND = 160  # characters of its name: an SMTP reply's


class Sighting(NamedTuple):
    """A device as it is stored; `seen` holds helo, tls, `counted`, `before`, and which life counted."""

    range: str
    seen: Json
    first_seen: datetime
    last_seen: datetime


def sighted(known: Sighting | None, row: DeviceRow, incarnation: str, at: datetime) -> Sighting:
    """What a report makes of what is known. at: when it came; ages count back from there."""
    begun, last = at - age(row.first_seen_age_s), at - age(row.last_seen_age_s)
    life = {"incarnation": incarnation, "begun": begun.timestamp()}
    counted = {
        "accepted": max(0, row.accepted),
        "refused": _bounded(row.refused),
        "tolerances": _bounded(row.tolerances),
    }
    if known is None:
        before = NOTHING
    elif _continues(known.seen, life, counted):
        before = known.seen["before"]
    else:
        before = added(known.seen["before"], known.seen["counted"])
    old = known.seen if known else {}
    told = {"helo": row.helo or old.get("helo", ""), "tls": row.tls or old.get("tls", "")}
    return Sighting(
        range=row.range[:255] or (known.range if known else ""),
        seen=told | life | {"counted": counted, "before": before},
        first_seen=min(begun, known.first_seen) if known else begun,
        last_seen=max(last, known.last_seen) if known else last,
    )


def absorbed(rest: Sighting | None, gone: Sighting) -> Sighting:
    """The overflow row after it took a device in that is no longer kept."""
    if rest is None:
        empty = {
            "helo": "",
            "tls": "",
            "incarnation": "",
            "begun": 0.0,
            "counted": NOTHING,
            "before": NOTHING,
        }
        rest = Sighting("", empty, gone.first_seen, gone.last_seen)
    return Sighting(
        range="",
        seen=rest.seen | {"before": added(rest.seen["before"], totals(gone.seen))},
        first_seen=min(rest.first_seen, gone.first_seen),
        last_seen=max(rest.last_seen, gone.last_seen),
    )


def totals(seen: Json) -> Json:
    """Accepted, refused and tolerances over all lives."""
    return added(seen["before"], seen["counted"])


def added(one: Json, other: Json) -> Json:
    """The sum of two counts."""
    return {
        "accepted": one["accepted"] + other["accepted"],
        "refused": _sum(one["refused"], other["refused"]),
        "tolerances": _sum(one["tolerances"], other["tolerances"]),
    }


def _continues(known: Json, life: Json, counted: Json) -> bool:
    """Whether the report is of the same counting as what is known.

    A host that went back in time begins a new incarnation and counts on; an agent that had forgotten the address
    stays the same and counts from nothing.
    """
    same_life = known["incarnation"] == life["incarnation"]
    same_beginning = abs(known["begun"] - life["begun"]) <= SAME_BEGINNING_S
    return (same_life or same_beginning) and _size(counted) >= _size(known["counted"])


def _size(counted: Json) -> int:
    size: int = counted["accepted"] + sum(counted["refused"].values()) + sum(counted["tolerances"].values())
    return size


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    names = sorted(one.keys() | other.keys())[:MAX_KINDS]
    return {name: one.get(name, 0) + other.get(name, 0) for name in names}


def _bounded(counts: Mapping[str, int]) -> dict[str, int]:
    return {name[:MAX_KIND]: max(0, counts[name]) for name in sorted(counts)[:MAX_KINDS]}


def age(seconds: float) -> timedelta:
    """Seconds as an agent says them, within bounds."""
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST_AGE_S))
