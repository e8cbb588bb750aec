"""Non-delivery reports (RFC 3464, RFC 6522): who may get one, how often, and what is in it.

A bounce is mail that we send to somebody because a stranger said so: it goes only to senders in our accepted domains
or to the receive connector's bounce_to, with the null sender, never for a bounce, and it holds the message's headers
but never its body. What may not bounce stays with the spool for operators to see.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import NamedTuple

from gatepost.policy.dialogue.decision import Envelope
from gatepost.policy.dialogue.domains import AcceptedDomains
from gatepost.policy.dialogue.throttle import take
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.mailboxes import parse_mailbox
from gatepost_agent.delivery.job import Attempt
from gatepost_agent.delivery.replies import shown
from gatepost_agent.spool.messages import Bounce, Kind, QueuedMessage, Result

HEADERS_MOST = 32 * 1024  # octets of the failed message's headers that a report holds
PER_MINUTE = 120  # reports in all
PER_MINUTE_EACH = 10  # to one address
ADDRESSES_KNOWN = 10_000


class Bounces:
    """Decides about and writes reports. `withheld` counts those not sent, by reason."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        """`clock` gives seconds since the epoch."""
        self._clock = clock
        self._all: float | None = None
        self._each: dict[str, float] = {}
        self.withheld: Counter[str] = Counter()

    def addressee(self, message: QueuedMessage, accepted: AcceptedDomains) -> str | None:
        """Who is to get a report about this message, if anybody; takes from the rate when somebody is."""
        to, why = _addressee(message, accepted)
        if to is not None and not self._in_rate(to.lower()):
            to, why = None, "rate"
        if to is None:
            self.withheld[why] += 1
        return to

    def _in_rate(self, to: str) -> bool:
        now = self._clock()
        if len(self._each) >= ADDRESSES_KNOWN:
            self._each.clear()
        one = take(self._each.get(to), now, PER_MINUTE_EACH)
        both = take(self._all, now, PER_MINUTE)
        if one.allowed and both.allowed:
            self._each[to], self._all = one.state, both.state
        return one.allowed and both.allowed

    def write(
        self, message: QueuedMessage, failed: Sequence[Attempt], *, to: str, headers: bytes, fqdn: str
    ) -> Bounce:
        """The report about `failed` recipients, as a message to put in the queue."""
        report = _Report(message, tuple(failed), to, headers, fqdn, self._clock())
        envelope = Envelope(
            connector=message.envelope.connector,
            principal=message.envelope.principal,
            client=message.envelope.client,
            helo=fqdn,
            mail_from="",
            recipients=(to,),
            eight_bit=False,
            smtp_utf8=not to.isascii(),
            bounce_to=None,
        )
        return Bounce(envelope=envelope, message_id=report.message_id, body=report.body())


def _addressee(message: QueuedMessage, accepted: AcceptedDomains) -> tuple[str | None, str]:
    envelope = message.envelope
    if message.kind is Kind.BOUNCE or not envelope.mail_from:
        return None, "null sender"
    try:
        found = accepted.find(parse_mailbox(envelope.mail_from))
    except BadValue:
        found = None
    # An accepted domain of "*" makes no stranger one of us.
    if found is not None and found.domain != "*":
        return envelope.mail_from, ""
    return envelope.bounce_to, "foreign sender"


class _Report(NamedTuple):
    message: QueuedMessage
    failed: tuple[Attempt, ...]
    to: str
    headers: bytes
    fqdn: str
    now: float

    @property
    def message_id(self) -> str:
        return f"<bounce-{self.message.id}-{int(self.now * 1000)}@{self.fqdn}>"

    def body(self) -> bytes:
        headers = _fit_headers(self.headers)
        boundary = self._boundary(headers)
        parts = (
            ("text/plain; charset=us-ascii", self._words()),
            ("message/delivery-status", self._status()),
            ("text/rfc822-headers", headers),
        )
        lines = [*self._head(boundary), "This is a report in MIME format."]
        for kind, content in parts:
            lines += [f"--{boundary}", f"Content-Type: {kind}", "", content]
        lines += [f"--{boundary}--", ""]
        return "\r\n".join(lines).encode()

    def _head(self, boundary: str) -> list[str]:
        return [
            f"From: Mail Delivery System <MAILER-DAEMON@{self.fqdn}>",
            f"To: <{self.to}>",
            "Subject: Undelivered mail returned to sender",
            f"Date: {formatdate(self.now)}",
            f"Message-ID: {self.message_id}",
            "Auto-Submitted: auto-replied",
            "MIME-Version: 1.0",
            f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"',
            "",
        ]

    def _words(self) -> str:
        lines = [
            f"This is the mail relay at {self.fqdn}.",
            "",
            "Your message could not be delivered to the recipients below. It was not delivered to them and will",
            "not be tried again.",
            "",
        ]
        for attempt in self.failed:
            given_up = " (given up after trying for a long time)" if attempt.result is Result.EXPIRED else ""
            lines += [f"<{_unitext(attempt.recipient)}>{given_up}:", f"    {attempt.reply}", ""]
        return "\r\n".join(lines)

    def _status(self) -> str:
        lines = [
            f"Reporting-MTA: dns; {self.fqdn}",
            f"X-Queue-Id: {self.message.id}",
            f"Arrival-Date: {formatdate(self.message.received_at)}",
            "",
        ]
        for attempt in self.failed:
            kind = "rfc822" if attempt.recipient.isascii() else "utf-8"
            lines += [
                f"Final-Recipient: {kind}; {_unitext(attempt.recipient)}",
                "Action: failed",
                f"Status: {attempt.status}",
                *([f"Remote-MTA: dns; {attempt.peer.host}"] if attempt.peer.address else []),
                f"Diagnostic-Code: {'smtp' if attempt.peer.address else 'x-gatepost'}; {attempt.reply}",
                f"Last-Attempt-Date: {formatdate(self.now)}",
                "",
            ]
        return "\r\n".join(lines)

    def _boundary(self, headers: str) -> str:
        number = 0
        while (boundary := f"=_report_{self.message.id}_{number}") in headers:
            number += 1
        return boundary


def header_block(body: bytes) -> bytes:
    """The header of a message: what comes before its first empty line, cut at a line end when too long."""
    header, empty, _ = body.partition(b"\r\n\r\n")
    if not empty or len(header) > HEADERS_MOST:
        header = header[:HEADERS_MOST].rpartition(b"\r\n")[0] or header[:HEADERS_MOST]
    return header + b"\r\n"


def _fit_headers(headers: bytes) -> str:
    """Headers as printable ASCII: a report must pass where 8-bit cannot."""
    text = headers.decode("latin-1")
    return "".join(c if c in "\r\n\t" or " " <= c <= "~" else "?" for c in text)


def _unitext(address: str) -> str:
    """An address in ASCII; other characters in the form of RFC 6533, section 3."""
    if address.isascii():
        return shown(address.encode())
    return "".join(c if " " < c <= "~" and c not in "\\+=" else f"\\x{{{ord(c):X}}}" for c in address)
