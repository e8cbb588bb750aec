"""Reports: to whom, how often, and well formed enough for Python's own parser."""

import email
import email.policy
from email.message import EmailMessage

import pytest

from gatepost.policy.dialogue.domains import AcceptedDomains
from gatepost.policy.model.document import AcceptedDomain
from gatepost_agent.delivery.bounces import HEADERS_MOST, PER_MINUTE, PER_MINUTE_EACH, Bounces, header_block
from gatepost_agent.delivery.job import Attempt, Peer
from gatepost_agent.spool.messages import Kind, QueuedMessage, Result
from tests.agent.delivery.samples import message

OURS = AcceptedDomains([AcceptedDomain(domain="contoso.com")])
PEER = Peer(hop="smtp.fabrikam.com:25", host="smtp.fabrikam.com", address="192.0.2.9:25")
FAILED = [Attempt("kate@fabrikam.com", Result.NEVER, "5.1.1", "550 5.1.1 no such user", PEER)]


def bounces(now: float = 2_000_000.0) -> Bounces:
    return Bounces(clock=lambda: now)


def report(of: QueuedMessage, failed: list[Attempt], headers: bytes = b"Subject: scan\r\n") -> EmailMessage:
    made = bounces().write(of, failed, to="scanner@contoso.com", headers=headers, fqdn="mx1.contoso.com")
    assert made.body.isascii()
    assert made.body.count(b"\r") == made.body.count(b"\n") == made.body.count(b"\r\n")
    parsed = email.message_from_bytes(made.body, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert parsed["Message-ID"] == made.message_id
    return parsed


def parts(of: EmailMessage) -> list[EmailMessage]:
    """The parts of a message or report, as they were parsed."""
    found = of.get_payload()
    assert isinstance(found, list)
    return [part for part in found if isinstance(part, EmailMessage)]


@pytest.mark.parametrize(
    ("of", "to"),
    [
        (message(), "scanner@contoso.com"),
        (message(bounce_to="ops@contoso.com"), "scanner@contoso.com"),
        (message(mail_from="x@stranger.org"), None),
        (message(mail_from="x@stranger.org", bounce_to="ops@contoso.com"), "ops@contoso.com"),
        (message(mail_from="x@sub.contoso.com"), None),
        (message(mail_from="x%stranger.org@contoso.com"), None),
        (message(mail_from="no address"), None),
        (message(mail_from=""), None),
        (message(mail_from="", bounce_to="ops@contoso.com"), None),
        (message()._replace(kind=Kind.BOUNCE), None),
    ],
)
def test_only_our_senders_or_the_bounce_address_get_one(of: QueuedMessage, to: str | None) -> None:
    decides = bounces()
    assert decides.addressee(of, OURS) == to
    assert decides.withheld.total() == (to is None)


def test_an_accepted_domain_of_everything_makes_no_stranger_ours() -> None:
    everything = AcceptedDomains([AcceptedDomain(domain="*")])
    assert bounces().addressee(message(mail_from="x@stranger.org"), everything) is None


def test_reports_are_rated_each_and_in_all() -> None:
    decides = bounces()
    one = [decides.addressee(message(), OURS) for _ in range(PER_MINUTE_EACH + 5)]
    assert one.count(None) == 5
    many = [decides.addressee(message(mail_from=f"d{n}@contoso.com"), OURS) for n in range(PER_MINUTE)]
    assert many.count(None) == PER_MINUTE_EACH
    assert decides.withheld == {"rate": 5 + PER_MINUTE_EACH}


def test_a_report_is_what_rfc_3464_asks_for() -> None:
    parsed = report(message(), FAILED)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    assert parsed["Auto-Submitted"] == "auto-replied"
    assert parsed["To"].addresses[0].addr_spec == "scanner@contoso.com"
    words, status, headers = parts(parsed)
    assert "550 5.1.1 no such user" in words.get_content()
    of_message, of_recipient = parts(status)
    assert of_message["Reporting-MTA"] == "dns; mx1.contoso.com"
    assert of_recipient["Final-Recipient"] == "rfc822; kate@fabrikam.com"
    assert of_recipient["Action"] == "failed"
    assert of_recipient["Status"] == "5.1.1"
    assert of_recipient["Remote-MTA"] == "dns; smtp.fabrikam.com"
    assert of_recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert headers.get_content_type() == "text/rfc822-headers"
    assert "Subject: scan" in headers.get_content()


def test_the_envelope_is_null_and_never_bounces_itself() -> None:
    made = bounces().write(message(), FAILED, to="scanner@contoso.com", headers=b"", fqdn="mx1.contoso.com")
    assert made.envelope.mail_from == ""
    assert made.envelope.bounce_to is None
    assert made.envelope.recipients == ("scanner@contoso.com",)


def test_hostile_headers_cannot_leave_their_part() -> None:
    evil = b"Subject: caf\xc3\xa9 \x1b[2J\r\n--=_report_1_0\r\nContent-Type: text/html\r\n"
    parsed = report(message(), FAILED, evil)
    assert [part.get_content_type() for part in parts(parsed)] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]


def test_what_is_not_ascii_is_written_in_ascii() -> None:
    failed = [Attempt("käthe@fabrikam.com", Result.EXPIRED, "5.4.7", "given up", Peer(hop="x"))]
    body = bounces().write(message(), failed, to="a@contoso.com", headers=b"", fqdn="mx1.contoso.com").body
    assert rb"Final-Recipient: utf-8; k\x{E4}the@fabrikam.com" in body
    assert b"Diagnostic-Code: x-gatepost; given up" in body
    assert b"Remote-MTA" not in body


def test_the_header_block_ends_before_the_body_and_is_bounded() -> None:
    assert header_block(b"A: 1\r\nB: 2\r\n\r\nbody\r\n") == b"A: 1\r\nB: 2\r\n"
    assert header_block(b"A: 1\r\ncut off") == b"A: 1\r\n"
    assert header_block(b"") == b"\r\n"
    assert len(header_block(b"A: " + b"x" * 100 + b"\r\n" * 1 + b"B: y\r\n" * 10_000)) <= HEADERS_MOST + 2
