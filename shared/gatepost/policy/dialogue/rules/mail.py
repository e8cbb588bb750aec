"""MAIL: may this principal submit, now, with this sender (reference section 10.3)."""

from collections.abc import Mapping
from typing import NamedTuple

from gatepost.policy.dialogue import replies
from gatepost.policy.dialogue.compiled import CompiledConnector, Policy
from gatepost.policy.dialogue.decision import Pressure, Usage
from gatepost.policy.dialogue.rules.refusal import Refusal
from gatepost.policy.model.mailboxes import Mailbox
from gatepost.policy.model.rights import ANONYMOUS, USER_PREFIX, Right


class Parameters(NamedTuple):
    """The MAIL parameters that mean something here."""

    size: int
    eight_bit: bool
    smtp_utf8: bool


_NONE = Parameters(size=0, eight_bit=False, smtp_utf8=False)


def may_submit(connector: CompiledConnector, principal: str, usage: Usage, *, tls: bool) -> Refusal | None:
    if connector.model.require_tls and not tls:
        return Refusal(replies.TLS_REQUIRED, "require_tls is on and the session is in clear")
    if not connector.holds(principal, Right.SUBMIT):
        return Refusal(replies.NOT_AUTHENTICATED, f"{principal} may not submit here", Right.SUBMIT)
    return room(usage)


def room(usage: Usage) -> Refusal | None:
    """Whether the spool can take another message (reference section 7.1, back pressure)."""
    if usage.pressure is Pressure.NONE:
        return None
    if usage.pressure is Pressure.FULL:
        return Refusal(replies.INSUFFICIENT_RESOURCES, "the spool has no room")
    return Refusal(replies.NOT_STORED, "the spool's disk is in trouble")


def room_for(declared: int, usage: Usage) -> Refusal | None:
    """Whether a message of the declared size still has room in the spool (RFC 1870 section 6.1)."""
    if declared <= usage.free:
        return None
    return Refusal(replies.INSUFFICIENT_RESOURCES, "the spool has no room for a message of this size")


def parameters(connector: CompiledConnector, given: Mapping[str, str]) -> Parameters | None:
    """The parameters' meaning; None when one is unknown, not offered, or malformed. AUTH= is read and ignored."""
    if not given:
        return _NONE
    model = connector.model
    allowed = {"SIZE", "AUTH"}
    allowed |= {"BODY"} if model.eight_bit_mime_enabled else set()
    allowed |= {"SMTPUTF8"} if model.smtp_utf8_enabled else set()
    size, body = given.get("SIZE", "0"), given.get("BODY", "7BIT").upper()
    wrong_size = not (size.isascii() and size.isdigit() and len(size) <= 20)
    if given.keys() - allowed or wrong_size or body not in ("7BIT", "8BITMIME") or given.get("SMTPUTF8"):
        return None
    return Parameters(int(size), body == "8BITMIME", "SMTPUTF8" in given)


def size(connector: CompiledConnector, principal: str, octets: int) -> Refusal | None:
    """Source: Exchange parameter MaxMessageSize, right Bypass-Message-Size-Limit."""
    if octets <= connector.max_message_bytes or connector.holds(principal, Right.BYPASS_SIZE_LIMIT):
        return None
    return Refusal(
        replies.TOO_LARGE,
        f"larger than max_message_size {connector.model.max_message_size}",
        Right.BYPASS_SIZE_LIMIT,
    )


def sender(
    policy: Policy, connector: CompiledConnector, principal: str, given: Mailbox | None
) -> Refusal | None:
    """`<>` always; a sender in an authoritative domain needs Accept-Authoritative-Domain-Sender, any other
    Accept-Any-Sender; a relay user's own addresses need neither."""
    if given is None:
        return None
    if not connector.senders.allows(given):
        return Refusal(send_as(principal), f"{given.domain} is not in allowed_sender_domains")
    if principal.startswith(USER_PREFIX) and _own(policy, principal, given):
        return None
    entry = policy.accepted.lying_in(given.domain)
    right = Right.ANY_SENDER
    if entry is not None and entry.type == "authoritative":
        right = Right.AUTHORITATIVE_SENDER
    if connector.holds(principal, right):
        return None
    return Refusal(send_as(principal), f"{principal} may not send as {given.domain}", right)


def send_as(principal: str) -> replies.Reply:
    return replies.ANONYMOUS_SEND_AS_REFUSED if principal == ANONYMOUS else replies.SEND_AS_REFUSED


def _own(policy: Policy, principal: str, given: Mailbox) -> bool:
    user = policy.users.get(principal.removeprefix(USER_PREFIX))
    return user is not None and str(given).lower() in (address.lower() for address in user.senders)
