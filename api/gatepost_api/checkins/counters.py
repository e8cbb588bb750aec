"""Counters: cumulative per incarnation, merged by maximum. A repeat, a reordering, two replicas: same result."""

from collections.abc import Iterable, Mapping

Totals = dict[str, dict[str, int]]  # connector -> event -> total


def merged(one: Mapping[str, Mapping[str, int]], other: Mapping[str, Mapping[str, int]]) -> Totals:
    """The higher of both, counter by counter."""
    result: Totals = {connector: dict(events) for connector, events in one.items()}
    for connector, events in other.items():
        known = result.setdefault(connector, {})
        for event, total in events.items():
            known[event] = max(known.get(event, 0), total)
    return result


def added(sets: Iterable[Mapping[str, Mapping[str, int]]]) -> Totals:
    """The sum over incarnations, counter by counter."""
    result: Totals = {}
    for totals in sets:
        for connector, events in totals.items():
            known = result.setdefault(connector, {})
            for event, total in events.items():
                known[event] = known.get(event, 0) + total
    return result
