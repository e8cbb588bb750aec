"""What else may go on at a host, for questions that begin with "what if"."""

from enum import StrEnum
from typing import NamedTuple

from gatepost.policy.dialogue.compiled import UNLIMITED, CompiledConnector, Policy
from gatepost.policy.dialogue.decision import Pressure, Usage
from gatepost.policy.dialogue.events import Event, Failed, Interrupted, NotStored, TimedOut
from gatepost.policy.dialogue.rules import connect
from gatepost.policy.dialogue.throttle import MINUTE_S
from gatepost.policy.model.errors import BadValue


class Circumstance(StrEnum):
    """One thing that no client brings about by itself. An event comes after the last thing that the client says."""

    CONNECTOR_FULL = "connector_full"  # max_inbound_connection others are connected
    SOURCE_FULL = "source_full"  # so many others are, from this address, that it may not have one more
    SOURCE_TOO_OFTEN = "source_too_often"  # connection_rate_limit is used up by this address
    SPOOL_FULL = "spool_full"
    DISK_TROUBLE = "disk_trouble"  # the disk cannot be asked or does not take what was owed to it
    NOT_STORED = "not_stored"  # it fails under this message
    CONNECTOR_GONE = "connector_gone"  # a newer config has it no more, after the greeting
    IDLE = "idle"  # an event: connection_inactivity_timeout
    TOO_LONG = "too_long"  # an event: connection_timeout
    STOPPING = "stopping"  # an event: the agent is being stopped
    FAILURE = "failure"  # an event: an exception in the agent


class Host(NamedTuple):
    """What a circumstance makes of a host with nobody else on it. stores: whether a message can be written."""

    usage: Usage
    stores: NotStored | None = None


EVENTS: dict[Circumstance, Event] = {
    Circumstance.IDLE: TimedOut("idle"),
    Circumstance.TOO_LONG: TimedOut("session"),
    Circumstance.STOPPING: Interrupted("draining"),
    Circumstance.FAILURE: Failed("00000000"),
}


def host_in(circumstance: Circumstance, usage: Usage, connector: CompiledConnector | None) -> Host:
    """The host as it then is; unchanged for an event. Raises BadValue for a limit that the connector does not have."""
    match circumstance:
        case Circumstance.CONNECTOR_FULL if connector:
            _has(connector.max_sessions, "max_inbound_connection", circumstance)
            return Host(usage._replace(connector_open=connector.max_sessions))
        case Circumstance.SOURCE_FULL if connector:
            most = min(connector.max_sessions, connector.max_sessions_per_source)
            _has(most, "max_inbound_connection_per_source", circumstance)
            return Host(_crowded(usage, connector, most))
        case Circumstance.SOURCE_TOO_OFTEN if connector:
            _has(connector.connections_per_minute, "connection_rate_limit", circumstance)
            return Host(usage._replace(connections=usage.now + MINUTE_S))
        case Circumstance.SPOOL_FULL:
            return Host(usage._replace(pressure=Pressure.FULL))
        case Circumstance.DISK_TROUBLE:
            return Host(usage._replace(pressure=Pressure.TROUBLE))
        case Circumstance.NOT_STORED:
            return Host(usage, NotStored("trouble"))
        case Circumstance.CONNECTOR_GONE:
            return Host(usage._replace(policy=_without_doors(usage.policy)))
        case _:
            return Host(usage)


def _has(limit: int, setting: str, circumstance: Circumstance) -> None:
    if limit == UNLIMITED:
        problem = f"{setting} of the connector is unlimited, so this cannot happen"
        raise BadValue(circumstance, problem, f"Ask without it, or set {setting}.", field="when")


def _crowded(usage: Usage, connector: CompiledConnector, most: int) -> Usage:
    """With the fewest others from this address at which it may not have one more."""
    crowds = (usage._replace(connector_open=others, source_open=others) for others in range(most))
    full = usage._replace(connector_open=most, source_open=most)
    return next((crowded for crowded in crowds if connect.check(connector, crowded)), full)


def _without_doors(policy: Policy) -> Policy:
    return Policy(
        policy.bundle, fqdn=policy.fqdn, addresses=policy.addresses, now=policy.compiled_at, tables={}
    )
