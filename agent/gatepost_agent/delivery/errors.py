"""What can go wrong on the way to a next hop. Each is an outcome in the making: the scheduler decides which."""

from gatepost_agent.errors import AgentError


class DeliveryError(AgentError):
    """The root of delivery's errors; the text is fit for a log line (what came from outside is escaped)."""


class HopFailed(DeliveryError):
    """This next hop cannot be used now (no connection, no session, no TLS): the next in order may be tried.

    `code` is the SMTP code that the hop gave, 0 when it gave none.
    """

    def __init__(self, why: str, *, status: str = "4.4.1", code: int = 0) -> None:
        super().__init__(why)
        self.status = status
        self.code = code


class TlsFailed(HopFailed):
    """The TLS handshake did not end well: an opportunistic send connector may try again without."""


class NoSuchDomain(DeliveryError):
    """The recipient's domain takes no mail, whoever asks (RFC 7505, or no such domain): for good."""

    def __init__(self, why: str, *, status: str) -> None:
        super().__init__(why)
        self.status = status


class ConnectionLost(HopFailed):
    """The connection ended, fell silent past its timeout, or talked nonsense."""

    def __init__(self, why: str, *, status: str = "4.4.2") -> None:
        super().__init__(why, status=status)


class SecretRefused(DeliveryError):
    """A named credential is missing, unreadable, or may not go to this host."""
