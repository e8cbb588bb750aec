"""The log line: one for each recipient, escaped, without subject or body."""

from gatepost_agent.delivery.attempts import EVENT, log_attempts
from gatepost_agent.delivery.job import Attempt, Peer
from gatepost_agent.mail_events import mail_events
from gatepost_agent.spool.messages import Result
from tests.agent.delivery.samples import message


def test_a_line_says_who_what_where_and_how() -> None:
    of = message(7, "kate@fabrikam.com")._replace(message_id="<7@\x1b[2J>")
    peer = Peer(hop="smtp.contoso.com:25", address="192.0.2.9:25", tls="TLSv1.3 X verified")
    with mail_events.captured() as lines:
        log_attempts(
            of, [Attempt("käthe@\r\nb.org", Result.DONE, "2.0.0", "250 ok", peer)], of.received_at + 1.5
        )
    assert lines == [
        {
            "event": EVENT,
            "queue_id": 7,
            "message_id": r"<7@\x1b[2J>",
            "connector": "Relay",
            "client": "192.0.2.7",
            "mail_from": "scanner@contoso.com",
            "rcpt_to": r"k\xc3\xa4the@\x0d\x0ab.org",
            "next_hop": "smtp.contoso.com:25",
            "address": "192.0.2.9:25",
            "tls": "TLSv1.3 X verified",
            "result": "done",
            "status": "2.0.0",
            "reply": "250 ok",
            "delay_s": 1.5,
        }
    ]
