"""What happens to mail, told as events: a name and fields. The daemon sends them to the mail log.

Not a logging framework: an event is written for every message and attempt, and has one reader.
"""

import contextlib
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

Event = dict[str, Any]
Sink = Callable[[Event], None]

journal = logging.getLogger("gatepost_agent.mail")


class MailEvents:
    """Tells events to `sink`; until a daemon has set one, they are told to nobody."""

    def __init__(self) -> None:
        self.sink: Sink | None = None

    def info(self, event: str, **fields: Any) -> None:
        """Something happened."""
        if self.sink is not None:
            self.sink({"event": event, **fields})

    def error(self, event: str, *, exc_info: BaseException, **fields: Any) -> None:
        """Trouble of ours: for the journal too, with where it came from."""
        journal.error("%s %s", event, fields, exc_info=exc_info)
        self.info(event, **fields, exception="".join(traceback.format_exception(exc_info)))

    @contextlib.contextmanager
    def captured(self) -> Iterator[list[Event]]:
        """The events of a while, instead of to the sink."""
        told: list[Event] = []
        before, self.sink = self.sink, told.append
        try:
            yield told
        finally:
            self.sink = before


mail_events = MailEvents()
"""The one of this process: its sink is the mail log of the agent that runs here."""
