"""Usage types: defaults at creation only, never stored (reference section 1.2)."""

from typing import Any

from gatepost.policy.model.errors import BadValue

_EVERYONE = ["0.0.0.0-255.255.255.255"]

# Auth mechanisms that need Windows are left out of the defaults; the rest is Exchange's.
USAGES: dict[str, dict[str, object]] = {
    "client": {
        "permission_groups": ["ExchangeUsers"],
        "auth_mechanism": ["Tls", "BasicAuth", "BasicAuthRequireTLS"],
        "bindings": ["0.0.0.0:587"],
    },
    "custom": {"permission_groups": [], "auth_mechanism": ["Tls"]},
    "internal": {
        "permission_groups": ["ExchangeLegacyServers", "ExchangeServers"],
        "auth_mechanism": ["Tls"],
        "bindings": ["0.0.0.0:25"],
    },
    "internet": {
        "permission_groups": ["AnonymousUsers"],
        "auth_mechanism": ["Tls"],
        "remote_ip_ranges": _EVERYONE,
    },
    "partner": {"permission_groups": ["Partners"], "auth_mechanism": ["Tls"]},
}


def seed_usage(data: Any) -> Any:
    """The connector's input with the usage type's defaults for what is not given. Raises BadValue."""
    if not isinstance(data, dict) or "usage" not in data:
        return data
    given = {key: value for key, value in data.items() if key != "usage"}
    defaults = USAGES.get(str(data["usage"]).strip().lower())
    if defaults is None:
        names = ", ".join(name.title() for name in USAGES)
        remedy = f"Use one of {names}, or leave usage out."
        raise BadValue(data["usage"], "not a usage type", remedy, field="usage")
    return {**defaults, **given}


def refuse_usage(data: Any) -> Any:
    """The input of an edit. Raises BadValue on a usage type, which would open what was left closed."""
    if isinstance(data, dict) and data.get("usage") is not None:
        remedy = "Set permission_groups, auth_mechanism, bindings and remote_ip_ranges themselves."
        raise BadValue(data["usage"], "usage only seeds a new connector", remedy, field="usage")
    return data
