"""An envelope as SMTP commands, and what the replies to them decide. Pure."""

from contextlib import suppress
from typing import NamedTuple

from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.mailboxes import parse_mailbox
from gatepost_agent.delivery.errors import DeliveryError
from gatepost_agent.delivery.extensions import Extensions
from gatepost_agent.delivery.job import Attempt, Job, Peer
from gatepost_agent.delivery.replies import ServerReply, shown
from gatepost_agent.spool.messages import Result

# 530, 534, 535, 538: "log in first". That is between the operator and the next hop, no verdict on the message.
_OURS_TO_MEND = frozenset({530, 534, 535, 538})
_NEEDS_SMTP_UTF8 = "it needs SMTPUTF8, which the next hop does not offer"


class Unfit(DeliveryError):
    """The next hop cannot take this message, now or ever; `status` is RFC 3463's."""

    def __init__(self, why: str, *, status: str) -> None:
        super().__init__(why)
        self.status = status


def envelope_commands(job: Job, extensions: Extensions) -> list[bytes]:
    """MAIL and one RCPT for each recipient, without line ends. Raises Unfit (RFC 1870, 6152, 6531)."""
    envelope = job.message.envelope
    addresses = (envelope.mail_from, *job.recipients)
    utf8 = envelope.smtp_utf8 or not all(map(str.isascii, addresses))
    if utf8 and not extensions.smtp_utf8:
        addresses, utf8 = _in_ascii(job), False
    if envelope.eight_bit and not extensions.eight_bit:
        raise Unfit("the message needs 8BITMIME, which the next hop does not offer", status="5.6.3")
    if extensions.size and job.message.size > extensions.size:
        raise Unfit(
            f"{job.message.size} octets; the next hop takes {extensions.size} at most", status="5.3.4"
        )
    mail = f"MAIL FROM:<{addresses[0]}>"
    if extensions.size is not None:
        mail += f" SIZE={job.message.size}"
    if envelope.eight_bit:
        mail += " BODY=8BITMIME"
    if utf8:
        mail += " SMTPUTF8"
    return [mail.encode(), *(f"RCPT TO:<{recipient}>".encode() for recipient in addresses[1:])]


def _in_ascii(job: Job) -> tuple[str, ...]:
    """Sender and recipients for a next hop without SMTPUTF8. Raises Unfit: a header cannot be rewritten by a relay."""
    if job.utf8_header:
        raise Unfit(f"the message's header holds UTF-8: {_NEEDS_SMTP_UTF8}", status="5.6.7")
    return tuple(map(_address_in_ascii, (job.message.envelope.mail_from, *job.recipients)))


def _address_in_ascii(address: str) -> str:
    """A domain has a form in ASCII, its A-labels (RFC 5890); a local part has none."""
    if address.isascii():
        return address
    with suppress(BadValue):
        mailbox = parse_mailbox(address)
        if mailbox.local.isascii():
            return str(mailbox)
    raise Unfit(f"<{shown(address.encode())}> has no form in ASCII: {_NEEDS_SMTP_UTF8}", status="5.6.7")


def judge(reply: ServerReply, *, recipient: bool = False) -> Result:
    """The verdict of one reply: 2xx done, 5xx never, all else not now.

    552 to RCPT says "too many recipients" and means 452 (RFC 5321 4.5.3.1.10).
    """
    if 200 <= reply.code < 300:
        return Result.DONE
    if 500 <= reply.code < 600 and reply.code not in _OURS_TO_MEND and not (recipient and reply.code == 552):
        return Result.NEVER
    return Result.NOT_NOW


def attempt(recipient: str, reply: ServerReply, result: Result, peer: Peer) -> Attempt:
    """A reply as an outcome; a status that contradicts the outcome gives way to it."""
    status = reply.status
    wanted = {Result.DONE: "2", Result.NEVER: "5"}.get(result, "4")
    if status[0] != wanted:
        status = wanted + status[1:]
    return Attempt(recipient=recipient, result=result, status=status, reply=reply.text, peer=peer)


class Verdict(NamedTuple):
    """What the replies to an envelope decided: who is accepted, and the outcome of all others."""

    accepted: tuple[str, ...]
    attempts: list[Attempt]
    mail_given: bool  # the server has a transaction open until content or RSET


def decide(
    job: Job, mail: ServerReply, recipients: list[ServerReply], data: ServerReply | None, peer: Peer
) -> Verdict:
    """Judge the replies to MAIL, each RCPT, and DATA (None when content goes by BDAT)."""
    if judge(mail) is not Result.DONE:
        return Verdict((), [attempt(r, mail, judge(mail), peer) for r in job.recipients], mail_given=False)
    rows = [
        (r, reply, judge(reply, recipient=True)) for r, reply in zip(job.recipients, recipients, strict=True)
    ]
    accepted = tuple(r for r, _, result in rows if result is Result.DONE)
    attempts = [attempt(*row, peer) for row in rows if row[2] is not Result.DONE]
    if data is not None and data.code != 354 and accepted:
        # 2xx here is an answer to something else: unsure, so not now.
        result = Result.NEVER if judge(data) is Result.NEVER else Result.NOT_NOW
        attempts += [attempt(r, data, result, peer) for r in accepted]
        accepted = ()
    return Verdict(accepted, attempts, mail_given=True)


def same_for_all(
    recipients: tuple[str, ...], result: Result, status: str, why: str, peer: Peer
) -> list[Attempt]:
    """One outcome of our own making for all recipients."""
    return [Attempt(r, result, status, why, peer) for r in recipients]
