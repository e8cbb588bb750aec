"""Delivery put together: what the running config sends where."""

import socket
import time
from asyncio import Event, get_running_loop
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from gatepost.policy.dialogue.compiled import Policy
from gatepost.policy.dialogue.domains import AcceptedDomains
from gatepost.policy.model.send_connector import SendConnector
from gatepost_agent.delivery.config_folder import ConfigFolder
from gatepost_agent.delivery.dns import SystemResolver
from gatepost_agent.delivery.pool import MOST_CONNECTIONS, Pool
from gatepost_agent.delivery.routing import Routing, make_routing
from gatepost_agent.delivery.scheduler import Delivery
from gatepost_agent.delivery.targets import Finder
from gatepost_agent.spool.spool import Spool


class Sending:
    """Delivery, its routes those of the policy that runs. Without a policy the last routes stay: mail goes on."""

    def __init__(self, spool: Spool, config_folder: Path, most_connections: int = MOST_CONNECTIONS) -> None:
        """most_connections: to next hops, in all."""
        self._secrets = ConfigFolder(config_folder)
        self._resolver = SystemResolver()
        self._routing = self._routes((), AcceptedDomains(()), socket.getfqdn(), None)
        self._own = own_names()
        self._finder = Finder(self._resolver, own=self._own)
        pool = Pool(self._finder, clock=get_running_loop().time, most_connections=most_connections)
        self._delivery = Delivery(spool, pool, self._routing, clock=time.time)

    def follow(self, policy: Policy | None) -> None:
        """Send as this policy says from the next attempt on."""
        if policy is not None:
            sends = policy.bundle.send_connectors
            self._routing = self._routes(sends, policy.accepted, policy.fqdn, self._routing)
            self._finder.know(self._own | names_in(policy))
            self._delivery.configure(self._routing)

    def hops(self, recipient: str) -> dict[str, str]:
        """As `Delivery.hops`."""
        return self._delivery.hops(recipient)

    async def run(self, stopping: Event, drain_s: float) -> None:
        """Deliver until `stopping` is set, then for at most drain_s seconds more."""
        try:
            await self._delivery.run(stopping, drain_s=drain_s)
        finally:
            self._resolver.close()

    def _routes(
        self,
        sends: Iterable[SendConnector],
        accepted: AcceptedDomains,
        fqdn: str,
        before: Routing | None,
    ) -> Routing:
        return make_routing(sends, accepted=accepted, fqdn=fqdn, secrets=self._secrets, before=before)


def own_names() -> frozenset[str]:
    """This host's names and addresses, as far as it knows them: where MX may not lead."""
    names = {socket.gethostname(), socket.getfqdn()}
    found = set(names)
    for name in names:
        with suppress(OSError):
            found |= {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
    return frozenset(found)


def names_in(policy: Policy) -> frozenset[str]:
    """This host's name and addresses as the policy has them, such as one that only NAT and the operator know."""
    bound = {str(binding.address) for binding in policy.bindings if binding.address and not binding.wildcard}
    return frozenset({policy.fqdn, *policy.addresses.values(), *bound})
