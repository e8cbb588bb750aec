"""Which settings of a connector got looser. Every setting is in one of the tables here; what is in none, cannot be
ranked, and any other value counts as looser.
"""

from collections.abc import Callable, Iterator
from math import inf
from typing import Any

from gatepost.policy.dialogue.domains import within
from gatepost.policy.model.connector import AuthMechanism, ReceiveConnector
from gatepost.policy.model.values import seconds, size_bytes

# What clients gain by these is seen in who wins which client, and with what rights.
SEEN_IN_WINNERS = frozenset(
    {"name", "enabled", "servers", "bindings", "remote_ip_ranges", "permission_groups", "permissions"}
)
NO_ACCESS = frozenset({"comment", "banner", "protocol_logging_level"})
STRICTER_WHEN_ON = frozenset(
    {
        "require_tls",
        "require_ehlo_domain",
        "reject_reserved_top_level_recipient_domains",
        "reject_reserved_second_level_recipient_domains",
        "reject_single_label_recipient_domains",
        "bare_linefeed_rejection_enabled",
    }
)
STRICTER_WHEN_OFF = frozenset(
    {
        "pipelining_enabled",
        "chunking_enabled",
        "eight_bit_mime_enabled",
        "smtp_utf8_enabled",
        "enhanced_status_codes_enabled",
    }
)
LISTS = frozenset({"allowed_sender_domains", "allowed_recipient_domains"})


def _limit(value: int | str) -> float:
    return inf if isinstance(value, str) else value


def _zero_is_off(value: int) -> float:
    return value or inf


def _stricter(value: str) -> float:
    return -seconds(value)


def _let_through(mechanisms: tuple[str, ...]) -> frozenset[str]:
    """What auth_mechanism lets a client do: ways to prove itself, and what it may send in clear."""
    held = frozenset(mechanisms)
    ways = held & {AuthMechanism.BASIC_AUTH, AuthMechanism.EXTERNAL_AUTHORITATIVE}
    clear_password = AuthMechanism.BASIC_AUTH in held and AuthMechanism.BASIC_AUTH_REQUIRE_TLS not in held
    only_clear = AuthMechanism.TLS not in held
    return ways | {told for told, so in (("password in clear", clear_password), ("no TLS", only_clear)) if so}


FEWER_IS_STRICTER: dict[str, Callable[[Any], frozenset[str]]] = {
    "tolerances": frozenset,
    "auth_mechanism": _let_through,
}
LARGER_IS_LOOSER: dict[str, Callable[[Any], float]] = {
    "max_inbound_connection": _limit,
    "max_inbound_connection_per_source": _limit,
    "max_inbound_connection_percentage_per_source": _limit,
    "message_rate_limit": _limit,
    "connection_rate_limit": _limit,
    "recipient_rate_limit": _limit,
    "max_recipients_per_message": _limit,
    "max_protocol_errors": _limit,
    "max_hop_count": _limit,
    "max_local_hop_count": _zero_is_off,
    "max_logon_failures": _zero_is_off,
    "max_message_size": size_bytes,
    "max_header_size": size_bytes,
    "connection_timeout": seconds,
    "connection_inactivity_timeout": seconds,
    "tarpit_interval": _stricter,
    "auth_tarpit_interval": _stricter,
    "size_enabled": ("Disabled", "EnabledWithoutValue", "Enabled").index,
    "tls_minimum_version": lambda version: -float(version),
}


def looser(before: ReceiveConnector, after: ReceiveConnector) -> Iterator[str]:
    """The names of settings by which `after` allows more than `before`, or something that cannot be compared."""
    for field in ReceiveConnector.model_fields:
        old, new = getattr(before, field), getattr(after, field)
        if old != new and field not in SEEN_IN_WINNERS | NO_ACCESS and not _narrower(field, old, new):
            yield field


def _narrower(field: str, old: Any, new: Any) -> bool:
    if field in LARGER_IS_LOOSER:
        rank = LARGER_IS_LOOSER[field]
        return rank(new) <= rank(old)
    if field in LISTS:
        return within(old, new)
    if field in FEWER_IS_STRICTER:
        held = FEWER_IS_STRICTER[field]
        return held(new) <= held(old)
    return field in (STRICTER_WHEN_ON if new else STRICTER_WHEN_OFF)
