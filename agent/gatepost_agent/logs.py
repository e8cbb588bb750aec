"""Where log lines go: the agent's own to stderr, for the journal; what happens to mail to the mail log."""

import logging
import sys

from gatepost_agent.mail_events import mail_events
from gatepost_agent.mail_log import MailLog


def configure_logs(level: str, mail_log: MailLog) -> None:
    """Set up both; once in a process."""
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    mail_events.sink = mail_log.write
