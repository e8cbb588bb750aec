"""One structured log line for each recipient and attempt: what `gatepost-agent trace` reads.

Never a subject or body; what clients and next hops wrote is escaped.
"""

from collections.abc import Iterable

from gatepost_agent.delivery.job import Attempt
from gatepost_agent.delivery.replies import shown
from gatepost_agent.mail_events import mail_events
from gatepost_agent.spool.messages import QueuedMessage

EVENT = "delivery_attempt"


def log_attempts(message: QueuedMessage, attempts: Iterable[Attempt], now: float) -> None:
    """`now` in seconds since the epoch; `delay_s` is the time since the message was accepted."""
    for attempt in attempts:
        mail_events.info(
            EVENT,
            queue_id=message.id,
            message_id=_escaped(message.message_id),
            connector=message.envelope.connector,
            client=message.envelope.client,
            mail_from=_escaped(message.envelope.mail_from),
            rcpt_to=_escaped(attempt.recipient),
            next_hop=attempt.peer.hop,
            address=attempt.peer.address,
            tls=attempt.peer.tls,
            result=str(attempt.result),
            status=attempt.status,
            reply=attempt.reply,
            delay_s=round(now - message.received_at, 3),
        )


def _escaped(text: str) -> str:
    return text if text.isascii() and text.isprintable() and "\\" not in text else shown(text.encode())
