"""The Send connector: where accepted mail goes. Credentials, keys and certificates are names of files."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.base import Configured, Name, Selector
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.mailboxes import parse_domain
from gatepost.policy.model.values import NUMBER, AddressText, Domain, FileName, Limit, Note, TimeSpan, between

_SPACE = re.compile(r"(?:smtp:)?([^;]+)(?:;(\d{1,3}))?", re.ASCII | re.IGNORECASE)
_PIN = re.compile(r"sha256:[0-9a-f]{64}")
_HOST_REMEDY = "Write it as smtp.contoso.com:25, 10.1.1.9:25 or [2001:db8::9]:25."


def parse_address_space(text: str) -> tuple[str, int]:
    """`*`, `contoso.com`, `*.contoso.com`, each with `;cost` (1-100, default 1). Raises BadValue."""
    found = _SPACE.fullmatch(text.strip())
    cost = int(found[2] or 1) if found else 0
    if found is None or not 1 <= cost <= 100:
        raise BadValue(text, "not an address space", "Write it as *, contoso.com or *.contoso.com;5.")
    pattern = found[1].strip()
    if pattern == "*":
        return pattern, cost
    wild = pattern.startswith("*.")
    domain = parse_domain(pattern[2:] if wild else pattern)
    return f"*.{domain}" if wild else domain, cost


def _address_space(text: str) -> str:
    pattern, cost = parse_address_space(text)
    return pattern if cost == 1 else f"{pattern};{cost}"


def parse_smart_host(text: str) -> tuple[str, int]:
    """Host and port of a smart host; port 25 when none is given. Raises BadValue."""
    typed = text.strip()
    host, colon, port = typed.rpartition(":")
    if not colon or typed.endswith("]") or (":" in host and not host.startswith("[")):
        host, port = typed, "25"
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise BadValue(text, "not a smart host", _HOST_REMEDY)
    try:
        return parse_domain(host) if not host.startswith("[") else _literal(host), int(port)
    except BadValue as error:
        raise BadValue(text, "not a smart host", _HOST_REMEDY) from error


def _literal(host: str) -> str:
    return str(parse_address(host.removeprefix("[").removesuffix("]")))


def _smart_host(text: str) -> str:
    host, port = parse_smart_host(text)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _pin(text: str) -> str:
    if not _PIN.fullmatch(text.lower()):
        raise BadValue(
            text, "not a pin", "Write sha256: and the 64 hex digits of the certificate's fingerprint."
        )
    return text.lower()


class SendConnector(Configured):
    """Next hops for the recipient domains of its address spaces. Source: Exchange's Set-SendConnector."""

    name: Name
    comment: Note = ""
    enabled: bool = True
    servers: tuple[Selector, ...] = Field(default=("*",), min_length=1)
    address_spaces: tuple[Annotated[str, AfterValidator(_address_space)], ...] = Field(min_length=1)
    smart_hosts: tuple[Annotated[str, AfterValidator(_smart_host)], ...] = ()
    dns_routing_enabled: bool = False
    port: Annotated[int, Field(ge=1, le=65535), NUMBER] = 25
    """The port of hosts found by MX."""
    allow_private: bool = False
    """Ours: whether MX may lead to loopback and private addresses."""
    fqdn: Domain | None = None
    source_ip_address: AddressText | None = None
    tls_policy: Literal["none", "opportunistic", "required", "verified"] = "opportunistic"
    tls_ca: FileName | None = None
    tls_pins: tuple[Annotated[str, AfterValidator(_pin)], ...] = ()
    tls_certificate_name: FileName | None = None
    authentication_credential: FileName | None = None
    max_connections: Annotated[int, Field(ge=1, le=1000), NUMBER] = 20
    """Ours: open connections to one next hop."""
    smtp_max_messages_per_connection: Annotated[int, Field(ge=1, le=100000), NUMBER] = 1000
    message_rate_limit: Limit = "unlimited"
    """Ours: messages a minute to one next hop."""
    connection_inactivity_timeout: Annotated[TimeSpan, between(1, 86400)] = "00:10:00"
    expiration_timeout: Annotated[TimeSpan, between(60, 30 * 86400)] = "2.00:00:00"

    @model_validator(mode="after")
    def _check(self) -> "SendConnector":
        if bool(self.smart_hosts) == self.dns_routing_enabled:
            raise BadValue(
                self.name,
                "smart_hosts or dns_routing_enabled, one of the two",
                "Give smart hosts, or route by DNS.",
            )
        verified = self.tls_policy == "verified"
        if (self.tls_ca or self.tls_pins) and not verified:
            raise BadValue(
                self.tls_policy, "tls_ca and tls_pins need tls_policy verified", "Set it to verified."
            )
        if self.authentication_credential and not verified:
            raise BadValue(
                self.tls_policy, "a password goes over verified TLS only", "Set tls_policy to verified."
            )
        return self
