"""The spool's public face, used by the SMTP shell, delivery and the queue commands, on one event loop."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from gatepost.policy.dialogue.decision import Envelope

from gatepost_agent.spool.messages import (
    Bounce,
    Counts,
    Outcome,
    QueuedMessage,
    SpoolLimits,
    SpoolStatus,
    Stored,
)

DEFAULT_LIMITS = SpoolLimits()


class Incoming:
    """One message while it arrives. End it with `commit` or `abandon`."""

    id: int  # the queue id: may go into the Received line; never reused

    def write(self, block: bytes) -> None:
        """Add a block. Never blocks; errors of the disk show in `drain` and `commit`."""
        raise NotImplementedError

    async def drain(self) -> None:
        """Wait until at most 256 KiB of this message is in memory. Raises NotStored."""
        raise NotImplementedError

    async def commit(self, message_id: str) -> Stored:
        """Store the message; returns when it is durable. Raises NotStored.

        The commit belongs to the spool: a caller that is cancelled (client gone) changes nothing.
        """
        raise NotImplementedError

    async def abandon(self) -> None:
        """Forget the message; nothing of it stays. Harmless after commit."""
        raise NotImplementedError


class Spool:
    """The durable queue."""

    @classmethod
    async def open(
        cls,
        folder: Path,
        limits: SpoolLimits = DEFAULT_LIMITS,
        *,
        clock: Callable[[], float],
        hold_queue: bool = False,
    ) -> "Spool":
        """Open or create; repairs what can be repaired (see `status().problems`).

        With `hold_queue`, nothing is handed to delivery until `start_delivery()`.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Commit what was submitted, then close."""
        raise NotImplementedError

    # -- receiving (the SMTP shell)

    def room(self, size_hint: int = 0) -> Literal["ok", "full", "trouble"]:
        """May a message of `size_hint` octets come in? Ask before data is taken."""
        raise NotImplementedError

    async def begin(self, envelope: Envelope) -> Incoming:
        """Begin to receive. Raises NotStored when there is no room."""
        raise NotImplementedError

    # -- delivery

    async def take(self, limit: int) -> tuple[QueuedMessage, ...]:
        """Wait until something is due; take up to `limit` messages, longest due first.

        A taken message is not handed out again until `settle` or `put_back`.
        """
        raise NotImplementedError

    def put_back(self, queue_id: int, next_attempt: float) -> None:
        """Return a taken message that was not attempted; not written to disk (due again after a restart)."""
        raise NotImplementedError

    def body(self, message: QueuedMessage) -> AsyncIterator[bytes]:
        """The body as received, in blocks of at most 128 KiB; no disk is read if it is small and new.

        Raises DamagedBody (possibly at the end: send no final dot before the iterator has ended).
        """
        raise NotImplementedError

    async def settle(
        self,
        id: int,
        outcomes: Sequence[Outcome],
        next_attempt: float | None = None,
        bounce: Bounce | None = None,
    ) -> QueuedMessage | None:
        """Record what an attempt did; durable on return. Counts and `bounce` go into the same transaction.

        Recipients not named stay pending. With pending recipients left, `next_attempt` is when to try again
        and the message as it now stands is returned. With none left, the message is gone (all DONE) or kept
        for operators (else), and None is returned. Idempotent.
        """
        raise NotImplementedError

    # -- operators

    def messages(self, *, kept: bool = False) -> AsyncIterator[QueuedMessage]:
        """All queued (or all kept) messages by id."""
        raise NotImplementedError

    async def get(self, queue_id: int) -> QueuedMessage:
        """One message. Raises NoSuchMessage."""
        raise NotImplementedError

    async def hold(self, ids: Iterable[int]) -> int:
        """Hold messages by id; returns how many there were."""
        raise NotImplementedError

    async def release(self, ids: Iterable[int]) -> int:
        """Release messages by id; returns how many there were."""
        raise NotImplementedError

    async def retry(self, ids: Iterable[int]) -> int:
        """Retry messages by id; returns how many there were."""
        raise NotImplementedError

    async def delete(self, ids: Iterable[int]) -> int:
        """Delete messages by id; returns how many there were."""
        raise NotImplementedError

    def start_delivery(self) -> None:
        """End `hold_queue`."""
        raise NotImplementedError

    # -- figures

    def counts(self) -> Counts:
        """Committed totals."""
        raise NotImplementedError

    def status(self) -> SpoolStatus:
        """Numbers for health and metrics."""
        raise NotImplementedError
