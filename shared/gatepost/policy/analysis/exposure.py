"""Exposure: which client addresses may send to outside domains without a password, and what everyone may send to.

Both are exact. The first is read off the winner table of each local address and port, where a narrower connector
without the right carves a hole, and then united. `raw_union` beside it is what the guard reads: every range of
every connector with the right, whatever wins. It is the stricter of the two, since a hole is one edit away from
being closed.
"""

from collections.abc import Iterator
from typing import NamedTuple

from gatepost.policy.analysis.ranges import EMPTY, RangeSet, difference, from_spans, ranges, union
from gatepost.policy.dialogue.compiled import CompiledConnector, Endpoint, Policy, live_ranges
from gatepost.policy.dialogue.decision import Usage
from gatepost.policy.dialogue.denied import NOBODY_DENIED, DeniedSet
from gatepost.policy.dialogue.rules import recipient
from gatepost.policy.dialogue.rules.recipient import Granted
from gatepost.policy.dialogue.selection import Table
from gatepost.policy.model.addresses import read_range
from gatepost.policy.model.mailboxes import Mailbox
from gatepost.policy.model.rights import Right


class Exposure(NamedTuple):
    """relay: clients that may send to outside domains without proving a password (externally secured included).

    domains: what every other client may send to: accepted domains as configured, `*` when one is.
    """

    relay: RangeSet
    domains: tuple[str, ...]


NO_EXPOSURE = Exposure(EMPTY, ())


def exposure(policy: Policy, denied: DeniedSet = NOBODY_DENIED) -> Exposure:
    """The exposure of one server; what is denied there is taken out."""
    doors = {name for name, connector in policy.connectors.items() if relays(policy, connector)}
    relay = union(_won_by(doors, endpoint, table) for endpoint, table in policy.tables.items())
    shut = ranges(read_range(denial.range) for denial in denied.denials)
    return Exposure(difference(relay, shut), tuple(_open_domains(policy)))


def raw_union(policy: Policy, now: float) -> RangeSet:
    """All live ranges of connectors whose unproved principal holds Accept-Any-Recipient, whatever else it holds."""
    return ranges(
        known
        for connector in policy.connectors.values()
        if connector.relays_unproved
        for known in live_ranges(connector.model, now)
    )


def relays(policy: Policy, connector: CompiledConnector) -> bool:
    """Whether a client that this connector takes may send somewhere outside without proving a password.

    Outside is what no accepted domain names; `*` names nothing, so with it every door leads outside.
    """
    if not connector.holds(connector.first_principal, Right.SUBMIT):
        return False
    if not connector.model.allowed_recipient_domains:
        return connector.relays_unproved or _accepts_all(policy)
    return any(
        _takes(policy, connector, domain) and not _named(policy, domain)
        for domain in connector.model.allowed_recipient_domains
    )


def _accepts_all(policy: Policy) -> bool:
    return any(entry.domain == "*" for entry in policy.bundle.accepted_domains)


def _named(policy: Policy, domain: str) -> bool:
    entry = policy.accepted.lying_in(domain)
    return entry is not None and entry.domain != "*"


def _takes(policy: Policy, connector: CompiledConnector, domain: str) -> bool:
    """The recipient rule itself, asked about a plain address in a domain."""
    usage = Usage(now=0, policy=policy)
    given = Mailbox("a", domain, plain=True)
    verdict = recipient.check(policy, connector, connector.first_principal, usage, given)
    return isinstance(verdict, Granted)


def _won_by(doors: set[str], endpoint: Endpoint, table: Table) -> RangeSet:
    """The stretches that these connectors win; a listener of one IP version takes clients of that version only."""
    version = endpoint.address.version
    spans = ((lo, hi) for lo, hi, winner in table.stretches(version) if winner in doors)
    return from_spans(spans, ()) if version == 4 else from_spans((), spans)


def _open_domains(policy: Policy) -> Iterator[str]:
    """Accepted domains that an unproved client may send to through some connector that has any client at all."""
    doors = [
        connector
        for connector in policy.connectors.values()
        if connector.model.remote_ip_ranges and connector.holds(connector.first_principal, Right.SUBMIT)
    ]
    if any(not door.model.allowed_recipient_domains for door in doors):
        yield from (entry.domain for entry in policy.bundle.accepted_domains)
        return
    allowed = {domain for door in doors for domain in door.model.allowed_recipient_domains}
    yield from sorted(domain for domain in allowed if policy.accepted.lying_in(domain) is not None)
