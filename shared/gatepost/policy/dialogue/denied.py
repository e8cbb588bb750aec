"""The denied set: addresses with no relay right, or no service at all, whatever config runs. It only narrows."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Literal, NamedTuple

from gatepost.policy.model.addresses import Address, AddressRange, parse_range

Effect = Literal["no_service", "no_relay"]


class Denial(NamedTuple):
    """Why a client is denied: the range as given, its effect, where it came from, and the reason given."""

    range: str
    effect: Effect
    source: str
    reason: str = ""


class _Row(NamedTuple):
    range: AddressRange
    denial: Denial


class DeniedSet:
    """Looked up once for every event, so by bisection over disjoint stretches; `no_service` beats `no_relay`."""

    def __init__(self, denials: Iterable[Denial] = ()) -> None:
        self.denials = tuple(denials)
        rows = [_Row(parse_range(denial.range), denial) for denial in self.denials]
        self._tables = {
            version: _stretches([r for r in rows if r.range.version == version]) for version in (4, 6)
        }

    def lookup(self, address: Address) -> Denial | None:
        """The denial that holds for a client, if any."""
        starts, winners = self._tables[address.version]
        at = bisect_right(starts, address.value) - 1
        return winners[at] if at >= 0 else None


def _stretches(rows: list[_Row]) -> tuple[list[int], list[Denial | None]]:
    edges = sorted({edge for row in rows for edge in (row.range.lo, row.range.hi + 1)})
    winners: list[Denial | None] = []
    for edge in edges:
        over = [row.denial for row in rows if row.range.lo <= edge <= row.range.hi]
        winners.append(min(over, key=lambda denial: denial.effect != "no_service", default=None))
    return edges, winners


NOBODY_DENIED = DeniedSet()
