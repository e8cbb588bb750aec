"""Exchange settings with nothing behind them here: taken silently at their `off` value, otherwise refused."""

from typing import Any

from gatepost.policy.model.errors import BadValue

_NO_DSN = "delivery status notifications on request (RFC 3461) are not offered"
_WINDOWS = "it needs Windows authentication"
_NO_LONG = "addresses follow the lengths of RFC 5321"

# setting -> (values that mean off, why it is not supported)
UNSUPPORTED: dict[str, tuple[tuple[object, ...], str]] = {
    "advertise_client_settings": ((False, None), "there is no web client to show settings in"),
    "binary_mime_enabled": ((False, None), "BINARYMIME cannot be passed on to most smart hosts"),
    "delivery_status_notification_enabled": ((False, None), _NO_DSN),
    "domain_secure_enabled": ((False, None), "mutual TLS domain lists are not kept"),
    "enable_auth_gssapi": ((False, None), _WINDOWS),
    "extended_protection_policy": (("None", None), _WINDOWS),
    "live_credential_enabled": ((False, None), _WINDOWS),
    "long_addresses_enabled": ((False, None), _NO_LONG),
    "max_acknowledgement_delay": (("00:00:00", None), "250 is answered as soon as the message is on disk"),
    "orar_enabled": ((False, None), "the XORAR extension is Exchange's own"),
    "proxy_enabled": ((False, None), "there is no front end that proxies to a back end"),
    "proxy_protocol": ((False, None), "PROXY protocol is not supported; list the clients' own addresses"),
    "service_discovery_fqdn": ((None, ""), "service discovery is Exchange's own"),
    "suppress_x_anonymous_tls": ((False, True, None), "X-ANONYMOUSTLS is never offered"),
    "tls_domain_capabilities": (([], (), None), "capabilities by certificate are Exchange's own"),
}


def drop_unsupported(data: Any) -> Any:
    """The connector's input without unsupported settings at their off value. Raises BadValue on any other value."""
    if not isinstance(data, dict) or UNSUPPORTED.keys().isdisjoint(data):
        return data
    kept = dict(data)
    for setting in UNSUPPORTED.keys() & data.keys():
        off, why = UNSUPPORTED[setting]
        if not any(type(value) is type(data[setting]) and value == data[setting] for value in off):
            problem = f"{setting} is not supported: {why}"
            raise BadValue(data[setting], problem, f"Remove {setting} or turn it off.", field=setting)
        del kept[setting]
    return kept
