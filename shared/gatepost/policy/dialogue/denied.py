"""The denied set: addresses with no relay right, or no service at all, whatever config runs. It only narrows."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from gatepost.policy.dialogue.selection import Listing, Table
from gatepost.policy.model.addresses import Address, read_range

Effect = Literal["no_service", "no_relay"]


class Denial(NamedTuple):
    """Why a client is denied: the range as given, its effect, where it came from, and the reason given."""

    range: str
    effect: Effect
    source: str
    reason: str = ""


class DeniedSet:
    """Looked up once for every event, so by bisection; `no_service` beats `no_relay`, then the smallest range wins."""

    def __init__(self, denials: Iterable[Denial] = ()) -> None:
        self.denials = tuple(denials)
        self._tables = (
            tuple(self._table(effect) for effect in ("no_service", "no_relay")) if self.denials else ()
        )

    def lookup(self, address: Address) -> Denial | None:
        """The denial that holds for a client, if any."""
        for table in self._tables:
            match = table.lookup(address)
            if match is not None:
                return self.denials[int(match.connector)]
        return None

    def _table(self, effect: str) -> Table:
        rows = ((str(at), read_range(d.range)) for at, d in enumerate(self.denials) if d.effect == effect)
        return Table(Listing(rows))


NOBODY_DENIED = DeniedSet()
