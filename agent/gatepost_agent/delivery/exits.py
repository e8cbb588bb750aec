"""A send connector made ready for use: what its connections need, with files read once."""

import asyncio

from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.send_connector import SendConnector
from gatepost.policy.model.values import seconds
from gatepost_agent.delivery.config_folder import Secrets
from gatepost_agent.delivery.session import Timeouts
from gatepost_agent.delivery.tls import TlsContext, make_context

IDLE_S = 30.0  # a connection nobody needs is kept open so long
TLS_KEPT_S = 600.0  # then certificates are read again: they are renewed without telling us


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
        self._tls_made_at = 0.0

    def takes(self, address: str) -> bool:
        """Whether the source address can reach that address at all: both must be of one IP version."""
        return self._source is None or self._source.version == parse_address(address).version

    @property
    def local_address(self) -> tuple[str, int] | None:
        """Where to dial from."""
        return (str(self._source), 0) if self._source else None

    async def tls(self) -> TlsContext:
        """The TLS context, made in a thread (loading CAs takes tens of milliseconds) and kept for some minutes."""
        now = asyncio.get_running_loop().time()
        if self._tls is None or now - self._tls_made_at > TLS_KEPT_S:
            self._tls = await asyncio.to_thread(make_context, self.connector, self.secrets)
            self._tls_made_at = now
        return self._tls
