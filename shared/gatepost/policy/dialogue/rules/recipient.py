"""RCPT: is this recipient ours, or may this principal send anywhere (reference section 5)."""

from typing import NamedTuple

from gatepost.policy.dialogue import replies
from gatepost.policy.dialogue.compiled import CompiledConnector, Policy
from gatepost.policy.dialogue.decision import Usage
from gatepost.policy.dialogue.rules.refusal import Refusal
from gatepost.policy.model.mailboxes import Mailbox
from gatepost.policy.model.rights import Right

_RESERVED_TOP = frozenset({"test", "example", "invalid", "localhost"})
_RESERVED_SECOND = frozenset({"example.com", "example.net", "example.org"})


class Granted(NamedTuple):
    """Why a recipient was taken: `right` decided, or else the accepted domain in `reason` did."""

    reason: str
    right: Right | None = None


def check(
    policy: Policy, connector: CompiledConnector, principal: str, usage: Usage, given: Mailbox
) -> Granted | Refusal:
    refusal = _shape(connector, given)
    if refusal is not None:
        return refusal
    if not connector.recipients.allows(given):
        return Refusal(replies.RECIPIENT_NOT_ALLOWED, f"{given.domain} is not in allowed_recipient_domains")
    entry = policy.accepted.find(given)
    if entry is not None:
        return Granted(f"{entry.domain} is an accepted domain ({entry.type})")
    if usage.denied is not None:
        reason = f"denied relay: {usage.denied.range} ({usage.denied.source})"
        return Refusal(replies.UNABLE_TO_RELAY, reason, Right.ANY_RECIPIENT)
    if connector.holds(principal, Right.ANY_RECIPIENT):
        return Granted(f"{principal} may send to any recipient", Right.ANY_RECIPIENT)
    return Refusal(replies.UNABLE_TO_RELAY, _why_not(policy, given), Right.ANY_RECIPIENT)


def _shape(connector: CompiledConnector, given: Mailbox) -> Refusal | None:
    """Source: Exchange parameters RejectReserved…RecipientDomains and RejectSingleLabelRecipientDomains."""
    model, labels = connector.model, given.domain.split(".")
    if model.reject_reserved_top_level_recipient_domains and labels[-1] in _RESERVED_TOP:
        return Refusal(replies.RESERVED_TOP_LEVEL, f".{labels[-1]} is reserved")
    if model.reject_reserved_second_level_recipient_domains and ".".join(labels[-2:]) in _RESERVED_SECOND:
        return Refusal(replies.RESERVED_SECOND_LEVEL, f"{given.domain} is reserved")
    if model.reject_single_label_recipient_domains and len(labels) == 1:
        return Refusal(replies.SINGLE_LABEL, f"{given.domain} is a single label")
    return None


def _why_not(policy: Policy, given: Mailbox) -> str:
    if not given.plain and policy.accepted.lying_in(given.domain) is not None:
        return "the address could be read as another one, so it does not count as an accepted domain's"
    return f"{given.domain} is not an accepted domain"
