"""Which queued messages an operator means: by id, or by what is on the envelope. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gatepost.policy.model.addresses import parse_address, parse_range
from gatepost.policy.model.errors import BadValue
from gatepost_agent.errors import UsageRefused
from gatepost_agent.spool.messages import QueuedMessage, RecipientStatus

_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)", re.ASCII)
_HOP = re.compile(r"(mx:(?!\d+$))?(\[[^]]*\]|[^:]*)(:\d+)?", re.ASCII)  # `mx:25` is a smart host called mx
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


Hops = Callable[[str], Mapping[str, str]]
"""From a recipient to the next hops that its mail may go to now, with why each rests ("" when it does not)."""


def no_hops(recipient: str) -> Mapping[str, str]:
    """Where no agent runs."""
    del recipient
    return {}


class Selection(NamedTuple):
    """All that is given must hold; nothing given selects everything. older_s: seconds since it was received."""

    ids: frozenset[int] = frozenset()
    client: str = ""
    sender: str = ""
    recipient: str = ""
    next_hop: str = ""
    older_s: float = 0.0

    @property
    def is_everything(self) -> bool:
        """Whether nothing was given."""
        return self == Selection()

    def holds(self, message: QueuedMessage, now: float, hops: Hops = no_hops) -> bool:
        """Whether a message is meant. hops: where mail to a recipient may go now."""
        return (
            (not self.ids or message.id in self.ids)
            and (not self.client or is_client(message.envelope.client, self.client))
            and (not self.sender or is_address(message.envelope.mail_from, self.sender))
            and (not self.recipient or any(is_address(r.address, self.recipient) for r in message.recipients))
            and (not self.next_hop or any(is_hop(hop, self.next_hop) for hop in next_hops(message, hops)))
            and now - message.received_at >= self.older_s
        )


def next_hops(message: QueuedMessage, hops: Hops) -> Iterator[str]:
    """Who answered last for each recipient, and where mail may go now for those who still wait."""
    for recipient in message.recipients:
        if recipient.next_hop:
            yield recipient.next_hop
        if recipient.status is RecipientStatus.PENDING:
            yield from hops(recipient.address)


def resting(message: QueuedMessage, hops: Hops) -> dict[str, str]:
    """The next hops that mail still to be delivered may go to and that are not tried for the moment, and why."""
    return {hop: why for recipient in message.pending for hop, why in hops(recipient).items() if why}


def selection(arguments: Mapping[str, Any]) -> Selection:
    """A selection from a request's arguments. Raises UsageRefused."""
    try:
        client = str(arguments.get("client") or "")
        if client:
            parse_range(client)
        return Selection(
            ids=frozenset(int(given) for given in arguments.get("ids") or ()),
            client=client,
            sender=str(arguments.get("from") or ""),
            recipient=str(arguments.get("to") or ""),
            next_hop=str(arguments.get("next_hop") or ""),
            older_s=age_s(str(arguments.get("older") or "0")),
        )
    except ValueError as error:
        raise UsageRefused(str(error)) from error


def age_s(text: str) -> float:
    """`90`, `15m`, `2h` or `1d` in seconds. Raises UsageRefused."""
    found = _AGE.fullmatch(text.strip().lower())
    if found is None:
        raise UsageRefused(f"{text!r} is not an age: write it as 90s, 15m, 2h or 1d")
    return float(found[1]) * _UNIT_S[found[2]]


def is_client(client: str, text: str) -> bool:
    """Whether a client's address is the one in `text`, or in its range."""
    try:
        return parse_range(text).holds(parse_address(client))
    except BadValue:
        return False


def is_address(address: str, text: str) -> bool:
    """The whole address, or its domain as `@contoso.com`; `<>` is the null sender. Case does not matter."""
    wanted, given = text.lower(), address.lower()
    if wanted == "<>":
        return not given
    return given.endswith(wanted) if wanted.startswith("@") else given == wanted


def is_hop(hop: str, text: str) -> bool:
    """The whole hop; `mx:`, the port and an address's brackets can be left out. Case does not matter."""
    found = _HOP.fullmatch(hop.lower())
    if found is None:
        return text.lower() == hop.lower()
    mx, host, port = found.groups(default="")
    return text.lower().removeprefix(mx) in (host + port, host, host.strip("[]"))
