"""What delivery runs on at one time: routes, exits, our domains. Swapped as a whole when a new config is applied."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gatepost.policy.dialogue.domains import AcceptedDomains
from gatepost.policy.dialogue.routing import NoRoute, Route, Routes
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.mailboxes import parse_mailbox
from gatepost.policy.model.send_connector import SendConnector
from gatepost_agent.delivery.config_folder import Secrets
from gatepost_agent.delivery.exits import Exit


class Routing(NamedTuple):
    """See the module; `accepted` are the domains that we receive for, `fqdn` is this host's name."""

    routes: Routes
    exits: Mapping[str, Exit]
    accepted: AcceptedDomains
    fqdn: str

    def find(self, recipient: str) -> Route | NoRoute:
        """The route of a recipient; `postmaster` without a domain is at this host."""
        try:
            domain = parse_mailbox(recipient).domain if "@" in recipient else self.fqdn
        except BadValue as error:
            return NoRoute(str(error))
        return self.routes.find(domain)


def make_routing(
    connectors: Iterable[SendConnector],
    *,
    accepted: AcceptedDomains,
    fqdn: str,
    secrets: Secrets,
    before: Routing | None = None,
) -> Routing:
    """Compile send connectors; those unchanged since `before` keep their exits, so their open connections."""
    enabled = [connector for connector in connectors if connector.enabled]
    exits: dict[str, Exit] = {}
    for connector in enabled:
        kept = before.exits.get(connector.name) if before and before.fqdn == fqdn else None
        same = kept is not None and kept.connector == connector and kept.secrets is secrets
        exits[connector.name] = kept if kept and same else Exit(connector, fqdn=fqdn, secrets=secrets)
    return Routing(routes=Routes(enabled), exits=exits, accepted=accepted, fqdn=fqdn)
