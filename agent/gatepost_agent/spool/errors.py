"""What can go wrong in the spool."""

from typing import Literal

from gatepost_agent.errors import AgentError


class SpoolError(AgentError):
    """Root of the spool's errors; the text says what to do."""


class NotStored(SpoolError):
    """The message is not in the queue: answer `452 4.3.1` for "full", 451 for "trouble"; never 250."""

    def __init__(self, why: Literal["full", "trouble"], detail: str) -> None:
        super().__init__(detail)
        self.why: Literal["full", "trouble"] = why


class NoSuchMessage(SpoolError):
    """No message of this id is in the queue or among the kept ones."""

    def __init__(self, queue_id: int) -> None:
        super().__init__(f"no message {queue_id} in the spool")
        self.id = queue_id


class DamagedBody(SpoolError):
    """The stored body is not what was received: settle as NEVER and let nothing of it leave."""


class Unreadable(SpoolError):
    """A row, file or export is not what the spool writes."""


class SpoolInUse(SpoolError):
    """Another process has the spool open."""


class VersionRefused(SpoolError):
    """The spool was written by a release that this one cannot run."""


class SpoolClosed(SpoolError):
    """The spool was closed."""
