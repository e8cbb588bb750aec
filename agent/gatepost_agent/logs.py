"""Where log lines go: the agent's own to stderr, for the journal; what happens to mail to the mail log."""

import json
import logging
import sys
from typing import Any

import structlog

from gatepost_agent.mail_log import MailLog


class _Lines:
    """What structlog writes a finished line to."""

    def __init__(self, mail_log: MailLog) -> None:
        self.msg = mail_log.write


def _one_line(_logger: Any, _method: str, event: structlog.typing.EventDict) -> str:
    return json.dumps(event, separators=(",", ":"), default=str)


def _warn_too(_logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A mail event that is trouble of ours shows in the journal as well."""
    if method in ("error", "critical", "exception"):
        logging.getLogger("gatepost_agent.mail").error("%s", event)
    return event


class _Out:
    def __init__(self, mail_log: MailLog) -> None:
        for method in ("debug", "info", "warning", "error", "critical", "exception", "msg"):
            setattr(self, method, mail_log.write)


def configure_logs(level: str, mail_log: MailLog) -> None:
    """Set up both; once in a process."""
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _warn_too,
            _one_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _Out(mail_log),
        cache_logger_on_first_use=False,
    )
