"""What rules ask about the document: where things stand in it, and whom they are for."""

from collections.abc import Iterable

from gatepost.policy.analysis.findings import Finding, Rule, found
from gatepost.policy.analysis.ranges import RangeSet, union
from gatepost.policy.analysis.sides import Side
from gatepost.policy.model.addresses import LAST
from gatepost.policy.model.connector import ReceiveConnector


class Context:
    """A side under examination."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.document = side.document
        self._index = {connector.name: at for at, connector in enumerate(side.document.connectors)}

    def pointer(self, connector: ReceiveConnector, field: str = "") -> str:
        """Where a connector, or a field of it, stands in the document."""
        return f"/connectors/{self._index[connector.name]}" + (f"/{field}" if field else "")

    def about(self, rule: Rule, connector: ReceiveConnector, field: str, detail: str) -> Finding:
        """A finding about one connector, whatever its ranges."""
        return found(
            rule,
            detail,
            pointer=self.pointer(connector, field),
            selectors=connector.servers,
            connectors=(connector.name,),
            subject=connector.name,
        )

    def ranges(self, connectors: Iterable[ReceiveConnector]) -> RangeSet:
        """The union of some connectors' live ranges."""
        return union([self.side.ranges(connector) for connector in connectors])

    def holds_everything(self, connector: ReceiveConnector) -> bool:
        """Whether it is a default connector: one that holds all of IPv4 or all of IPv6, whatever its name."""
        return is_everything(self.side.ranges(connector))


def is_everything(known: RangeSet) -> bool:
    """Whether ranges hold all of IPv4 or all of IPv6.

    0.0.0.0 and :: are no client's address, so a range that leaves them out holds everything too.
    """
    return known.size(4) >= LAST[4] or known.size(6) >= LAST[6]


def names(connectors: Iterable[ReceiveConnector]) -> tuple[str, ...]:
    return tuple(connector.name for connector in connectors)


def selectors(connectors: Iterable[ReceiveConnector]) -> set[str]:
    return {selector for connector in connectors for selector in connector.servers}


def some(texts: Iterable[str], most: int = 5) -> str:
    """A few of many, as an enumeration."""
    listed = list(texts)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
