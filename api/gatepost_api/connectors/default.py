"""The default connector of a server: mail to accepted domains from everybody, and never relay; plain values."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gatepost.policy.analysis.lint.context import is_everything
from gatepost.policy.analysis.ranges import ranges
from gatepost.policy.model.addresses import parse_binding, parse_range
from gatepost.policy.model.bundle import Server, selects
from gatepost.policy.model.connector import Permission, ReceiveConnector
from gatepost.policy.model.rights import ANONYMOUS, PermissionGroup, Right

EVERYBODY = ("0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
MAX_NAME_CHARS = 64
Body = Mapping[str, Any]


def default_connector(server: str, bindings: Sequence[str]) -> ReceiveConnector:
    """A safe one: strangers may send to accepted domains, but not as one of our own.

    Source: Exchange's `Default Frontend <server>` (reference section 9), without what needs Windows, and with the
    deny row that its anonymous group does not have.
    """
    deny = Permission(principal=ANONYMOUS, rights=(Right.AUTHORITATIVE_SENDER,), deny=True)
    return ReceiveConnector(
        name=f"Default Frontend {server}"[:MAX_NAME_CHARS],
        servers=(server,),
        bindings=tuple(bindings),
        remote_ip_ranges=EVERYBODY,
        permission_groups=(PermissionGroup.ANONYMOUS_USERS,),
        permissions=(deny,),
        protocol_logging_level="Verbose",
    )


def rival(connectors: Iterable[Body], server: Server, bindings: Sequence[str]) -> Body | None:
    """The default connector that the server has already on one of these ports, if any."""
    ports = _ports(bindings)
    for body in connectors:
        listens = body.get("enabled", True) and selects(body.get("servers", ["*"]), server)
        if listens and ports & _ports(body["bindings"]) and is_default(body):
            return body
    return None


def is_default(body: Body) -> bool:
    """Whether a stored connector holds all of IPv4 or all of IPv6, whatever its name."""
    return is_everything(ranges(parse_range(text) for text in range_texts(body)))


def range_texts(body: Body) -> Iterator[str]:
    """A stored connector's ranges as typed."""
    for given in body.get("remote_ip_ranges", ()):
        yield given if isinstance(given, str) else given["range"]


def _ports(bindings: Iterable[str]) -> set[int]:
    return {parse_binding(text).port for text in bindings}
