"""The commands of a session, one function each (RFC 5321 4.1; reference section 10)."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from gatepost.policy.dialogue import replies, transfer
from gatepost.policy.dialogue.decision import Charge, Decision, Limit, Next, Usage
from gatepost.policy.dialogue.logon import Logon, refused_beforehand
from gatepost.policy.dialogue.rules import auth, hello, mail, paths, rates, recipient
from gatepost.policy.dialogue.rules.refusal import Refusal
from gatepost.policy.dialogue.throttle import back_pressure_s
from gatepost.policy.dialogue.transaction import Transaction
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.mailboxes import Mailbox, parse_mailbox
from gatepost.policy.model.tolerances import Tolerance

if TYPE_CHECKING:
    from gatepost.policy.dialogue.session import Session


def step(session: "Session", raw: bytes, usage: Usage) -> Decision:
    """The decision on one command line."""
    try:
        line = raw.decode("utf-8").rstrip(" \t")
    except UnicodeDecodeError:
        return session.no_command(raw, replies.UNRECOGNIZED, "a command that is not text")
    verb, _, argument = line.partition(" ")
    command = _COMMANDS.get(verb.upper())
    if command is None or not argument.isprintable():
        reply = replies.UNRECOGNIZED if command is None else replies.INVALID_ARGUMENTS
        reason = "an unknown command" if command is None else "control characters"
        return session.no_command(raw, reply, reason)
    return command(session, argument.strip(" "), usage)


# --- session ---------------------------------------------------------------------------------------------------


def _helo(session: "Session", argument: str, usage: Usage) -> Decision:
    return _hello(session, argument, extended=False)


def _ehlo(session: "Session", argument: str, usage: Usage) -> Decision:
    return _hello(session, argument, extended=True)


def _hello(session: "Session", name: str, *, extended: bool) -> Decision:
    door = session.door
    refusal = hello.check(door, name)
    if refusal is not None:
        return session.refuse(refusal)
    session.hello, session.extended, session.transaction = name[:255], extended, None
    reply = replies.hello(door.fqdn, session.client)
    if extended:
        offered = hello.extensions(door, tls=session.tls is not None, authenticated=session.authenticated)
        reply = replies.extended_hello(door.fqdn, session.client, offered)
    return session.say(reply).tolerating(*hello.tolerated(name))


def _rset(session: "Session", argument: str, usage: Usage) -> Decision:
    session.transaction = None
    return session.say(replies.RESETTING)


def _noop(session: "Session", argument: str, usage: Usage) -> Decision:
    return session.say(replies.OK)


def _vrfy(session: "Session", argument: str, usage: Usage) -> Decision:
    return session.say(replies.CANNOT_VERIFY)


def _expn(session: "Session", argument: str, usage: Usage) -> Decision:
    return session.protocol_error(replies.NOT_IMPLEMENTED, "EXPN is not implemented")


def _help(session: "Session", argument: str, usage: Usage) -> Decision:
    return session.say(replies.HELP)


def _quit(session: "Session", argument: str, usage: Usage) -> Decision:
    return session.close(replies.CLOSING, "the client said QUIT")


def _starttls(session: "Session", argument: str, usage: Usage) -> Decision:
    """RFC 3207; what the client sent ahead in clear is thrown away by the shell."""
    if session.hello is None:
        return session.protocol_error(replies.SEND_HELLO_FIRST, "STARTTLS before EHLO")
    if argument:
        return session.protocol_error(replies.INVALID_ARGUMENTS, "STARTTLS takes no argument")
    if session.tls is not None:
        return session.protocol_error(replies.BAD_SEQUENCE, "TLS is active")
    if not hello.offers_tls(session.door, tls=False):
        return session.protocol_error(replies.NOT_IMPLEMENTED, "STARTTLS is not offered here")
    return session.say(replies.START_TLS, Next.START_TLS)


def _auth(session: "Session", argument: str, usage: Usage) -> Decision:
    mechanism, _, initial = argument.partition(" ")
    if session.hello is None:
        return session.protocol_error(replies.SEND_HELLO_FIRST, "AUTH before EHLO")
    if session.authenticated or session.transaction is not None:
        return session.protocol_error(replies.BAD_SEQUENCE, "AUTH in a transaction or twice")
    known = mechanism.upper() in auth.MECHANISMS
    if not known or not auth.offered(session.door, tls=session.tls is not None):
        return session.protocol_error(
            replies.UNRECOGNIZED_MECHANISM, "this mechanism is not offered"
        )._replace(secret=True)
    guessing = refused_beforehand(session, usage)
    return guessing or Logon(mechanism.upper()).begin(session, initial.strip(), usage)


# --- transaction -----------------------------------------------------------------------------------------------


def _mail(session: "Session", argument: str, usage: Usage) -> Decision:
    if session.hello is None:
        return session.protocol_error(replies.SEND_HELLO_FIRST, "MAIL before EHLO")
    if session.transaction is not None:
        return session.protocol_error(replies.SENDER_ALREADY_SPECIFIED, "MAIL in a transaction")
    if session.outlived(usage):
        return session.close(replies.NOT_ACTIVE, "a newer config took rights from this session")
    door = session.door
    refusal = mail.may_submit(door, session.principal, usage, tls=session.tls is not None)
    if refusal is not None:
        return session.refuse(refusal)
    charges = _message_rate(session, usage)
    if charges is None:
        return session.close(replies.RATE_EXCEEDED, "message_rate_limit is exceeded")
    decision = _sender(session, argument, usage)
    delay = max(decision.delay_s, back_pressure_s(usage.fill))
    return decision._replace(charges=charges, delay_s=delay)


def _message_rate(session: "Session", usage: Usage) -> tuple[Charge, ...] | None:
    """What a message costs, None when the rate has no room. Source: MessageRateLimit, MessageRateSource."""
    door, booked = session.door, list[Charge]()
    source = door.model.message_rate_source
    counted = []
    if source in ("IPAddress", "All") and session.is_counted:
        counted.append((Limit.MESSAGES, session.client, usage.messages))
    if source in ("User", "All") and session.authenticated:
        counted.append((Limit.USER_MESSAGES, session.principal, usage.user_messages))
    for limit, key, state in counted:
        charges = rates.charges(door, limit, key, state, per_minute=door.messages_per_minute, now=usage.now)
        if charges is None:
            return None
        booked += charges
    return tuple(booked)


def _sender(session: "Session", argument: str, usage: Usage) -> Decision:
    door = session.door
    parsed = _argument(session, argument, "FROM")
    parameters = mail.parameters(door, parsed.parameters) if parsed else None
    if parsed is None or parameters is None:
        return session.protocol_error(
            replies.INVALID_ARGUMENTS, "MAIL FROM:<address> with parameters offered here"
        )
    try:
        sender = _mailbox(parsed.path, utf8=parameters.smtp_utf8) if parsed.path else None
    except BadValue:
        return session.protocol_error(replies.INVALID_SENDER, "not a mail address")
    refusal = (
        mail.size(door, session.principal, parameters.size)
        or mail.sender(session.policy, door, session.principal, sender)
        or mail.room_for(parameters.size, usage)
    )
    if refusal is not None:
        return session.refuse(refusal)
    session.transaction = Transaction(sender, parameters)
    return session.say(replies.SENDER_OK).tolerating(*parsed.tolerated)


def _argument(session: "Session", text: str, keyword: str) -> paths.Argument | None:
    """The argument of MAIL or RCPT; None when it is not one, or departs from the standard as is not tolerated here."""
    parsed = paths.parse(text, keyword)
    if parsed is None:
        return None
    if "AUTH" in parsed.parameters and not auth.offered(session.door, tls=session.tls is not None):
        parsed = parsed._replace(tolerated=(*parsed.tolerated, Tolerance.AUTH_PARAMETER))
    return parsed if session.door.tolerates(parsed.tolerated) else None


@lru_cache(maxsize=1024)
def _mailbox(path: str, *, utf8: bool) -> Mailbox:
    if not utf8 and not path.isascii():
        raise BadValue(path, "UTF-8 without SMTPUTF8", "Say SMTPUTF8 with MAIL.")
    return parse_mailbox(path)


def _rcpt(session: "Session", argument: str, usage: Usage) -> Decision:
    transaction, door = session.transaction, session.door
    if transaction is None or transaction.chunked:
        return session.protocol_error(replies.NEED_MAIL, "RCPT outside a transaction")
    if len(transaction.recipients) >= door.model.max_recipients_per_message:
        return session.refuse(Refusal(replies.TOO_MANY_RECIPIENTS, "max_recipients_per_message is reached"))
    parsed = _argument(session, argument, "TO")
    if parsed is None or parsed.parameters:
        return session.protocol_error(replies.INVALID_ARGUMENTS, "RCPT TO:<address> without parameters")
    path = parsed.path
    if path and "@" not in path and door.model.default_domain:
        path = f"{path}@{door.model.default_domain}"
    try:
        given = _mailbox(path, utf8=transaction.parameters.smtp_utf8)
    except BadValue:
        return session.protocol_error(replies.INVALID_RECIPIENT, "not a mail address")
    return _recipient(session, transaction, given, usage).tolerating(*parsed.tolerated)


def _recipient(session: "Session", transaction: Transaction, given: Mailbox, usage: Usage) -> Decision:
    door = session.door
    verdict = recipient.check(session.policy, door, session.principal, usage, given)
    if isinstance(verdict, Refusal):
        return session.refuse(verdict)
    charges = session.charges(Limit.RECIPIENTS, usage.recipients, door.recipients_per_minute, usage)
    if charges is None:
        return session.refuse(Refusal(replies.RECIPIENT_RATE_EXCEEDED, "recipient_rate_limit is exceeded"))
    transaction.recipients.append(str(given))
    return Decision(
        replies.RECIPIENT_OK, charges=charges, trace=session.explain(verdict.right, verdict.reason)
    )


_COMMANDS: dict[str, Callable[["Session", str, Usage], Decision]] = {
    "HELO": _helo,
    "EHLO": _ehlo,
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": transfer.data,
    "BDAT": transfer.bdat,
    "RSET": _rset,
    "NOOP": _noop,
    "VRFY": _vrfy,
    "EXPN": _expn,
    "HELP": _help,
    "QUIT": _quit,
    "STARTTLS": _starttls,
    "AUTH": _auth,
}

VERBS = frozenset(_COMMANDS)
"""The commands that are known, in upper case."""
