"""A message's content: DATA and BDAT, what its header and end are answered, and the outcome on disk."""

import re
from typing import TYPE_CHECKING

from gatepost.policy.dialogue import replies
from gatepost.policy.dialogue.decision import Chunk, Decision, Envelope, Next, Usage
from gatepost.policy.dialogue.events import ChunkRead, ContentEnded, HeadersEnded, NotStored, Stored
from gatepost.policy.dialogue.headers import ContentRules, format_date, protocol_name, received_line
from gatepost.policy.dialogue.replies import Reply
from gatepost.policy.dialogue.rules import mail, message
from gatepost.policy.dialogue.rules.refusal import Refusal
from gatepost.policy.model.rights import Right

if TYPE_CHECKING:
    from gatepost.policy.dialogue.session import Session
    from gatepost.policy.dialogue.transaction import Transaction

_MAX_CHUNK_DIGITS = 15
_CHUNK = re.compile(rb"\s*BDAT(?![A-Za-z])", re.IGNORECASE)


def step(
    session: "Session", event: HeadersEnded | ContentEnded | Stored | NotStored | ChunkRead, usage: Usage
) -> Decision:
    """The decision on an event of a message."""
    match event:
        case HeadersEnded():
            refusal = message.header(session.door, event.facts)
            return session.refuse(refusal) if refusal else session.say(None, Next.GO_ON)
        case ContentEnded():
            return _ended(session, event, usage)
        case Stored():
            session.transaction = None
            return session.say(replies.queued(event.message_id, event.internal_id, session.door.fqdn))
        case NotStored():
            session.transaction = None
            full = event.why == "full"
            return session.say(replies.INSUFFICIENT_RESOURCES if full else replies.NOT_STORED)
        case ChunkRead():
            return session.say(replies.chunk_received(event.octets))


def data(session: "Session", argument: str, usage: Usage) -> Decision:
    """RFC 5321 4.1.1.4."""
    transaction = _with_recipient(session)
    if isinstance(transaction, Reply):
        return session.protocol_error(transaction, "DATA needs a transaction with a recipient")
    if argument:
        return session.protocol_error(replies.INVALID_ARGUMENTS, "DATA takes no argument")
    if transaction.chunked:
        return session.protocol_error(replies.BAD_SEQUENCE, "DATA after BDAT")
    no_room = mail.room(usage)
    if no_room is not None:
        return session.refuse(no_room)
    return session.say(replies.START_MAIL_INPUT, Next.READ_DATA, _rules(session, transaction, usage))


def uncounted(session: "Session", begins: bytes) -> Decision | None:
    """What a refused line gets that some client may mean as BDAT: its octets follow, and must never be taken for
    commands, so it is the last one."""
    if session.logon is not None or not _CHUNK.match(begins):
        return None
    return session.close(
        replies.INVALID_ARGUMENTS, "BDAT that cannot be read: nobody knows where the next command is"
    )


def bdat(session: "Session", argument: str, usage: Usage) -> Decision:
    """RFC 3030. A refused BDAT's octets are read and thrown away: they must never be taken for commands."""
    count, _, last = argument.partition(" ")
    if not (
        count.isascii()
        and count.isdigit()
        and len(count) <= _MAX_CHUNK_DIGITS
        and last.upper() in ("", "LAST")
    ):
        return session.close(
            replies.INVALID_ARGUMENTS, "BDAT without a size: nobody knows where the next command is"
        )
    octets = int(count)
    transaction = _chunk_taken(session, octets, usage)
    if isinstance(transaction, Refusal):
        return _skip(session, transaction, octets)
    transaction.chunked = True
    transaction.octets += octets
    chunk = Chunk(octets, last=bool(last), rules=_rules(session, transaction, usage))
    return session.say(None, Next.READ_CHUNK, chunk)


def _with_recipient(session: "Session") -> "Transaction | Reply":
    if session.transaction is None:
        return replies.NEED_MAIL
    return session.transaction if session.transaction.recipients else replies.NEED_RECIPIENT


def _chunk_taken(session: "Session", octets: int, usage: Usage) -> "Transaction | Refusal":
    if not session.door.model.chunking_enabled:
        return Refusal(replies.NOT_IMPLEMENTED, "chunking_enabled is off")
    transaction = _with_recipient(session)
    if isinstance(transaction, Reply):
        return Refusal(transaction, "BDAT needs a transaction with a recipient")
    no_room = None if transaction.chunked else mail.room(usage)
    return no_room or mail.size(session.door, session.principal, transaction.octets + octets) or transaction


def _skip(session: "Session", refusal: Refusal, octets: int) -> Decision:
    """A BDAT that cannot be taken ends the transaction (RFC 3030 section 2)."""
    session.transaction = None
    return session.refuse(refusal, next_=Next.SKIP_CHUNK, argument=octets)


def _rules(session: "Session", transaction: "Transaction", usage: Usage) -> ContentRules:
    """What `Content` does to this message: our Received line first, the header firewall, what is missing last."""
    door, first = session.door, not transaction.message_id
    if first:
        session.messages += 1
        transaction.message_id = f"<{session.session_id}.{session.messages}@{door.fqdn}>"
    return ContentRules(
        max_size=None if door.holds(session.principal, Right.BYPASS_SIZE_LIMIT) else door.max_message_bytes,
        max_header_size=door.max_header_bytes,
        bare_linefeed="refuse" if door.model.bare_linefeed_rejection_enabled else "normalise",
        prepend=_received(session, usage),
        strip=message.stripped(door, session.principal),
        add_message_id=transaction.message_id,
        add_date=format_date(usage.now),
        local_names=session.policy.local_names,
    )


def _received(session: "Session", usage: Usage) -> bytes:
    tls = session.tls
    utf8 = session.transaction is not None and session.transaction.parameters.smtp_utf8
    protocol = protocol_name(
        extended=session.extended, tls=tls is not None, authenticated=session.authenticated, utf8=utf8
    )
    return received_line(
        helo=session.hello or "",
        client=session.client,
        by=session.door.fqdn,
        local=str(session.local.address),
        protocol=protocol,
        queue_id=f"{session.session_id}.{session.messages}",
        now=usage.now,
        tls=f"version={tls.version}, cipher={tls.cipher}" if tls else "",
    )


def _ended(session: "Session", event: ContentEnded, usage: Usage) -> Decision:
    transaction = session.transaction
    if transaction is None:
        return session.close(replies.BAD_SEQUENCE, "content without a transaction")
    refusal = message.content(session.policy, session.door, session.principal, event.facts)
    refusal = refusal or mail.room(usage)
    if refusal is not None:
        session.transaction = None
        return session.refuse(refusal)
    stored = session.say(None, Next.STORE, _envelope(session, transaction, event))
    return stored.tolerating(*message.departures(event.facts))


def _envelope(session: "Session", transaction: "Transaction", event: ContentEnded) -> Envelope:
    facts, door = event.facts, session.door
    return transaction.envelope(
        connector=door.name,
        principal=session.principal,
        client=session.client,
        helo=session.hello or "",
        bounce_to=door.model.bounce_to,
        eight_bit=facts.eight_bit or facts.header.eight_bit,
    )
