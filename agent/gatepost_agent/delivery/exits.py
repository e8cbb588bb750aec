"""A send connector made ready for use: what its connections need, with files read once."""

import asyncio

from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.send_connector import SendConnector
from gatepost.policy.model.values import seconds
from gatepost_agent.delivery.config_folder import Secrets
from gatepost_agent.delivery.session import Timeouts
from gatepost_agent.delivery.tls import TlsContext, make_context

IDLE_S = 30.0  # a connection nobody needs is kept open so long


class Exit:
    """One send connector. Compared by identity: a changed connector is another exit with connections of its own."""

    def __init__(self, connector: SendConnector, *, fqdn: str, secrets: Secrets) -> None:
        """`fqdn` is the host's name, for EHLO when the connector has none of its own."""
        inactivity = float(seconds(connector.connection_inactivity_timeout))
        limits = Timeouts()
        self.connector = connector
        self.secrets = secrets
        self.helo = (connector.fqdn or fqdn).encode()
        self.timeouts = Timeouts(*(min(limit, inactivity) for limit in limits))
        self.idle_s = min(IDLE_S, inactivity)
        self.expire_after_s = float(seconds(connector.expiration_timeout))
        self.per_minute = (
            None if connector.message_rate_limit == "unlimited" else int(connector.message_rate_limit)
        )
        self._source = parse_address(connector.source_ip_address) if connector.source_ip_address else None
        self._tls: TlsContext | None = None

    def takes(self, address: str) -> bool:
        """Whether the source address can reach that address at all: both must be of one IP version."""
        return self._source is None or self._source.version == parse_address(address).version

    @property
    def local_address(self) -> tuple[str, int] | None:
        """Where to dial from."""
        return (str(self._source), 0) if self._source else None

    async def tls(self) -> TlsContext:
        """The TLS context, made at first use in a thread: loading CAs takes tens of milliseconds."""
        if self._tls is None:
            self._tls = await asyncio.to_thread(make_context, self.connector, self.secrets)
        return self._tls
