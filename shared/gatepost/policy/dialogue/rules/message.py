"""The end of a message, and the rules its content is read under (reference sections 6 and 10.3)."""

from gatepost.policy.dialogue import replies
from gatepost.policy.dialogue.compiled import CompiledConnector, Policy
from gatepost.policy.dialogue.content import LONGEST_LINE, ContentFacts
from gatepost.policy.dialogue.headers import HeaderFacts, HeaderFamily
from gatepost.policy.dialogue.rules import mail
from gatepost.policy.dialogue.rules.refusal import Refusal
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.mailboxes import parse_mailbox
from gatepost.policy.model.rights import Right
from gatepost.policy.model.tolerances import BARE_LINE_END, Tolerance

_FAMILIES = (
    (Right.HEADERS_ROUTING, HeaderFamily.ROUTING),
    (Right.HEADERS_ORGANIZATION, HeaderFamily.ORGANIZATION),
    (Right.HEADERS_FOREST, HeaderFamily.FOREST),
)


def stripped(connector: CompiledConnector, principal: str) -> HeaderFamily:
    """The header families that this principal may not bring along: the header firewall."""
    removed = HeaderFamily.NONE
    for right, family in _FAMILIES:
        if not connector.holds(principal, right):
            removed |= family
    return removed


def header(connector: CompiledConnector, facts: HeaderFacts) -> Refusal | None:
    """What can be refused as soon as the header has ended. An over-long one closes, as Exchange does."""
    if facts.complete:
        return None
    reason = f"the header is larger than max_header_size {connector.model.max_header_size}"
    return Refusal(replies.HEADER_TOO_LARGE, reason, close=True)


def content(
    policy: Policy, connector: CompiledConnector, principal: str, facts: ContentFacts
) -> Refusal | None:
    model, head = connector.model, facts.header
    if model.bare_linefeed_rejection_enabled and (facts.bare_lf or facts.bare_cr):
        return Refusal(replies.BARE_LINEFEED, f"{facts.bare_lf} bare LF and {facts.bare_cr} bare CR")
    too_large = mail.size(connector, principal, facts.octets)
    if too_large is not None:
        return too_large
    if head.nul:
        return Refusal(replies.NUL_IN_HEADER, "a NUL in the header")
    if facts.long_line and not connector.tolerates((Tolerance.LONG_LINE,)):
        return Refusal(replies.LONG_LINE, f"a line longer than {LONGEST_LINE} octets is not tolerated")
    if head.lacks_fields and not connector.tolerates((Tolerance.MISSING_FIELD,)):
        return Refusal(replies.MISSING_FIELD, "a message without Date or Message-ID is not tolerated")
    if head.received > model.max_hop_count:
        return Refusal(
            replies.HOP_COUNT_EXCEEDED, f"{head.received} Received fields, max_hop_count is exceeded"
        )
    if model.max_local_hop_count and head.local_received > model.max_local_hop_count:
        reason = f"{head.local_received} Received fields of this server, max_local_hop_count is exceeded"
        return Refusal(replies.HOP_COUNT_EXCEEDED, reason)
    return _originators(policy, connector, principal, head)


def departures(facts: ContentFacts) -> tuple[str, ...]:
    """What in a message was let pass, by the names of Tolerance."""
    found = (
        (facts.bare_lf or facts.bare_cr, BARE_LINE_END),
        (facts.long_line, Tolerance.LONG_LINE),
        (facts.header.lacks_fields, Tolerance.MISSING_FIELD),
    )
    return tuple(name for is_so, name in found if is_so)


def _originators(
    policy: Policy, connector: CompiledConnector, principal: str, head: HeaderFacts
) -> Refusal | None:
    """From and Sender fields are checked like MAIL FROM; the usual principal holds both rights and is through."""
    rights = (Right.ANY_SENDER, Right.AUTHORITATIVE_SENDER)
    if not connector.model.allowed_sender_domains and all(
        connector.holds(principal, right) for right in rights
    ):
        return None
    for field, addresses in (("From", head.from_), ("Sender", head.sender)):
        if addresses is None:
            return Refusal(mail.send_as(principal), f"nobody can say which addresses the {field} field holds")
        for address in addresses:
            try:
                refusal = mail.sender(policy, connector, principal, parse_mailbox(address))
            except BadValue:
                refusal = Refusal(
                    mail.send_as(principal), f"the {field} field holds no address that can be checked"
                )
            if refusal is not None:
                return refusal._replace(reason=f"{field} field: {refusal.reason}")
    return None
