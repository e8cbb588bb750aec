"""At connect: is there a door for this client, and is there room behind it (reference sections 2 and 7)."""

from gatepost.policy.dialogue import replies
from gatepost.policy.dialogue.compiled import UNLIMITED, CompiledConnector
from gatepost.policy.dialogue.decision import Usage
from gatepost.policy.dialogue.rules.refusal import Refusal
from gatepost.policy.dialogue.throttle import share_of_free


def check(connector: CompiledConnector | None, usage: Usage) -> Refusal | None:
    if usage.denied is not None and usage.denied.effect == "no_service":
        return Refusal(
            replies.NO_SERVICE, f"denied: {usage.denied.range} ({usage.denied.source})", close=True
        )
    if connector is None:
        return Refusal(replies.NO_SERVICE, "no connector's remote IP ranges hold this address", close=True)
    return _room(connector, usage)


def _room(connector: CompiledConnector, usage: Usage) -> Refusal | None:
    if usage.session_cap:
        # A fifth of all sessions is kept for relay connectors: strangers cannot starve the listed hosts.
        cap = usage.session_cap if connector.relays_unproved else usage.session_cap * 4 // 5
        if usage.sessions_open >= cap:
            return Refusal(replies.TOO_MANY_CONNECTIONS, "the host's own session cap is reached", close=True)
    if usage.connector_open >= connector.max_sessions:
        return Refusal(replies.TOO_MANY_CONNECTIONS, "max_inbound_connection is reached", close=True)
    if usage.source_open >= connector.max_sessions_per_source:
        reason = "max_inbound_connection_per_source is reached"
        return Refusal(replies.too_many_from_source(connector.fqdn), reason, close=True)
    if usage.source_open >= _share(connector, usage):
        reason = "max_inbound_connection_percentage_per_source is reached"
        return Refusal(replies.too_many_from_source(connector.fqdn), reason, close=True)
    return None


def _share(connector: CompiledConnector, usage: Usage) -> int:
    """A source's share of the free slots, at least one: otherwise a small connector would take nobody."""
    if connector.max_sessions == UNLIMITED:
        return UNLIMITED
    percentage = connector.model.max_inbound_connection_percentage_per_source
    return max(1, share_of_free(connector.max_sessions, usage.connector_open, percentage))
