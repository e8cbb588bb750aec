"""The Receive connector: every setting that does something here, with the defaults of real 2019 servers.

Source: reference section 1.3. Names are Exchange's parameters in snake_case; those marked *ours* are additions.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    model_validator,
)

from gatepost.policy.model.addresses import parse_range
from gatepost.policy.model.base import Configured, Name, Selector
from gatepost.policy.model.combinations import check_combinations
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.rights import (
    Ace,
    PermissionGroup,
    Right,
    group_aces,
    parse_group,
    parse_principal,
    parse_right,
)
from gatepost.policy.model.tolerances import Tolerance, parse_tolerance
from gatepost.policy.model.unsupported import drop_unsupported
from gatepost.policy.model.usage import seed_usage
from gatepost.policy.model.values import (
    LIMIT,
    NUMBER,
    BindingText,
    Domain,
    FileName,
    Limit,
    MailAddress,
    Note,
    Size,
    TimeSpan,
    TlsVersion,
    Unlimited,
    between,
    between_sizes,
)


class AuthMechanism(StrEnum):
    """What a session may prove itself with. Source: Exchange parameter AuthMechanism."""

    TLS = "Tls"
    BASIC_AUTH = "BasicAuth"
    BASIC_AUTH_REQUIRE_TLS = "BasicAuthRequireTLS"
    EXTERNAL_AUTHORITATIVE = "ExternalAuthoritative"


_MECHANISMS = {mechanism.lower(): mechanism for mechanism in AuthMechanism}


def _mechanism(text: object) -> object:
    known = _MECHANISMS.get(str(text).strip().lower())
    if known is None:
        windows = str(text).strip().lower() in ("integrated", "exchangeserver")
        problem = "needs Windows authentication, which is not supported" if windows else "not a mechanism"
        raise BadValue(text, problem, f"Use some of {', '.join(AuthMechanism)}, or an empty list for None.")
    return known


def _split(value: object) -> object:
    """The forms in which the Exchange shell shows a list: `a, b` and `{a, b}`, which YAML reads as a mapping."""
    if isinstance(value, Mapping) and value and all(item is None for item in value.values()):
        return tuple(value)
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    return tuple(part.strip() for part in text.split(","))


def _listed(value: object) -> object:
    """A list in any of its forms, or Exchange's `None` for an empty one."""
    parts = _split(value)
    nothing = isinstance(parts, list | tuple) and [str(item).lower() for item in parts] == ["none"]
    return () if parts is None or nothing else parts


def _once(value: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(value))


def _in_order(value: tuple[Tolerance, ...]) -> tuple[Tolerance, ...]:
    return tuple(tolerance for tolerance in Tolerance if tolerance in value)


def _range_text(text: str) -> str:
    return parse_range(text).text


def _whole_second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


Moment = Annotated[
    AwareDatetime,
    AfterValidator(_whole_second),
    PlainSerializer(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"), when_used="json"),
]
RangeText = Annotated[str, AfterValidator(_range_text)]


def _range_form(value: object) -> str:
    return "text" if isinstance(value, str) else "entry"


class RangeEntry(Configured):
    """A remote IP range with a note and, for a temporary test host, an end (*ours*)."""

    range: RangeText
    note: Note = ""
    expires_at: Moment | None = None


AnyRange = Annotated[
    Annotated[RangeText, Tag("text")] | Annotated[RangeEntry, Tag("entry")], Discriminator(_range_form)
]


class Permission(Configured):
    """Rights allowed or denied to one principal, as Add-ADPermission would write them."""

    principal: Annotated[str, AfterValidator(parse_principal)]
    rights: Annotated[
        tuple[Annotated[Right, BeforeValidator(lambda text: parse_right(str(text)))], ...],
        Field(min_length=1),
        BeforeValidator(_split),
    ]
    deny: bool = False
    inherited: bool = False


def _banner(text: str) -> str:
    if text and not (text.startswith("220 ") and text.isascii() and text.isprintable() and len(text) <= 256):
        raise BadValue(text, "not a banner", "Write printable ASCII that begins with `220 `.")
    return text


def _ciphers(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise BadValue(text, "not an OpenSSL cipher list", "Write it as DEFAULT@SECLEVEL=0.")
    return text


_BOUNDED_TIMEOUT = between(1, 86400)


class ReceiveConnector(Configured):
    """A door: where it listens, who may come, what they may do. Compared by name."""

    name: Name
    comment: Note = ""
    enabled: bool = True
    servers: tuple[Selector, ...] = Field(default=("*",), min_length=1)
    transport_role: Literal["FrontendTransport", "HubTransport"] = "FrontendTransport"
    bindings: tuple[BindingText, ...] = Field(min_length=1, max_length=64)
    remote_ip_ranges: Annotated[tuple[AnyRange, ...], BeforeValidator(_split)] = ()
    fqdn: Domain | None = None
    banner: Annotated[str, AfterValidator(_banner)] = ""

    permission_groups: Annotated[
        tuple[Annotated[PermissionGroup, BeforeValidator(lambda text: parse_group(str(text)))], ...],
        BeforeValidator(_listed),
        AfterValidator(_once),
    ] = ()
    permissions: tuple[Permission, ...] = ()
    allowed_sender_domains: tuple[Domain, ...] = ()
    """Ours: when given, MAIL FROM must lie in one of these or be null."""
    allowed_recipient_domains: tuple[Domain, ...] = ()
    """Ours: when given, RCPT TO must lie in one of these, whatever the rights say."""

    auth_mechanism: Annotated[
        tuple[Annotated[AuthMechanism, BeforeValidator(_mechanism)], ...],
        BeforeValidator(_listed),
        AfterValidator(_once),
    ] = (AuthMechanism.TLS,)
    require_tls: bool = False
    tls_certificate_name: FileName | None = None
    tls_minimum_version: TlsVersion = "1.2"
    """Ours: the oldest TLS version taken here, for old printers."""
    tls_ciphers: Annotated[str, Field(max_length=512), AfterValidator(_ciphers)] = ""
    """Ours: an OpenSSL cipher list for this connector; empty: the library's."""

    connection_timeout: Annotated[TimeSpan, _BOUNDED_TIMEOUT] = "00:10:00"
    connection_inactivity_timeout: Annotated[TimeSpan, _BOUNDED_TIMEOUT] = "00:05:00"
    max_inbound_connection: Limit = 5000
    max_inbound_connection_per_source: Limit = 20
    max_inbound_connection_percentage_per_source: Annotated[int, Field(ge=1, le=100), NUMBER] = 2
    message_rate_limit: Limit = "unlimited"
    message_rate_source: Literal["None", "IPAddress", "User", "All"] = "IPAddress"
    connection_rate_limit: Limit = "unlimited"
    """Ours: connections a minute per source, where Exchange's MaxConnectionRatePerMinute is one for the server."""
    recipient_rate_limit: Limit = "unlimited"
    """Ours: recipients a minute per source."""
    max_recipients_per_message: Annotated[int, Field(ge=1, le=512000), NUMBER] = 200
    max_message_size: Annotated[Size, between_sizes(65536, 2147483647)] = "36MB"
    max_header_size: Annotated[Size, between_sizes(1, 2147483647)] = "256KB"
    max_hop_count: Annotated[int, Field(ge=1, le=500), NUMBER] = 60
    max_local_hop_count: Annotated[int, Field(ge=0, le=50), NUMBER] = 5
    max_protocol_errors: Annotated[Annotated[int, Field(ge=0, le=2147483647)] | Unlimited, LIMIT] = 5
    max_logon_failures: Annotated[int, Field(ge=0, le=10), NUMBER] = 3
    tarpit_interval: Annotated[TimeSpan, between(0, 600)] = "00:00:05"
    auth_tarpit_interval: Annotated[TimeSpan, between(0, 600)] = "00:00:05"

    size_enabled: Literal["Enabled", "Disabled", "EnabledWithoutValue"] = "Enabled"
    pipelining_enabled: bool = True
    chunking_enabled: bool = True
    eight_bit_mime_enabled: bool = True
    smtp_utf8_enabled: bool = True
    enhanced_status_codes_enabled: bool = True
    require_ehlo_domain: bool = False
    default_domain: Domain | None = None
    reject_reserved_top_level_recipient_domains: bool = False
    reject_reserved_second_level_recipient_domains: bool = False
    reject_single_label_recipient_domains: bool = False
    bare_linefeed_rejection_enabled: bool = False
    tolerances: Annotated[
        tuple[Annotated[Tolerance, BeforeValidator(parse_tolerance)], ...],
        BeforeValidator(_listed),
        AfterValidator(_in_order),
    ] = tuple(Tolerance)
    """Ours: the departures from the standards that are let pass; what is not listed is refused."""
    protocol_logging_level: Literal["None", "Verbose"] = "None"
    bounce_to: MailAddress | None = None
    """Ours: who gets bounces of mail whose sender is not in an accepted domain."""

    _seeded = model_validator(mode="before")(lambda data: drop_unsupported(seed_usage(data)))
    _combined = model_validator(mode="after")(check_combinations)

    @cached_property
    def aces(self) -> tuple[Ace, ...]:
        """Every access control entry: those of the permission groups first, then the explicit ones."""
        explicit = (
            Ace(entry.principal, right, entry.deny, entry.inherited, "explicit")
            for entry in self.permissions
            for right in entry.rights
        )
        return (*group_aces(self.permission_groups), *explicit)

    @property
    def shown_permission_groups(self) -> tuple[str, ...]:
        """The groups as Get-ReceiveConnector shows them: `Custom` when explicit entries exist."""
        return (*self.permission_groups, *(("Custom",) if self.permissions else ()))

    @property
    def externally_secured(self) -> bool:
        return AuthMechanism.EXTERNAL_AUTHORITATIVE in self.auth_mechanism
