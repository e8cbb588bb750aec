"""The receiving side: is there room, a new id, a new row."""

import asyncio
import time
from collections.abc import Coroutine

from gatepost.policy.dialogue.decision import Envelope
from gatepost_agent.spool.changes import Change
from gatepost_agent.spool.codec import to_row
from gatepost_agent.spool.core import Core
from gatepost_agent.spool.errors import NotStored
from gatepost_agent.spool.incoming import Incoming, Receiving
from gatepost_agent.spool.messages import Kind, QueuedMessage, RecipientState, Room, Stored
from gatepost_agent.spool.outcomes import arrival_counts

_FREE_HOLDS_S = 0.2  # how old a look at the disk's free space may be


class Receiver:
    """Gives ids and takes messages in."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._last_id = core.last_id_at_open
        self._free: int | None = None
        self._free_until = 0.0
        self._arriving = 0  # octets of messages that are not stored yet
        self._receiving = Receiving(
            bodies=core.bodies,
            workers=core.workers,
            turns=core.writer.turns,
            inline_max=core.limits.inline_max,
            store=self.store,
            own=self._own,
            moved=self._moved,
            room=lambda: self.room(0),
        )

    def room(self, size_hint: int) -> Room:
        """See Spool.room."""
        if self._core.writer.blocked:
            return "trouble"
        schedule, limits = self._core.schedule, self._core.limits
        if len(schedule.queued) + len(schedule.kept) >= limits.max_messages:
            return "full"
        if self._free_bytes() is None:
            return "trouble"
        return "ok" if size_hint <= self.free() else "full"

    def free(self) -> int:
        """See Spool.free."""
        limits = self._core.limits
        bound = limits.max_bytes - self._core.schedule.bytes
        disk = (self._free_bytes() or 0) - limits.free_floor
        return min(bound, disk) - self._arriving

    def fill(self) -> float:
        """See Spool.fill."""
        schedule, limits = self._core.schedule, self._core.limits
        count = len(schedule.queued) + len(schedule.kept)
        return max(count / limits.max_messages, (schedule.bytes + self._arriving) / limits.max_bytes)

    def _free_bytes(self) -> int | None:
        now = time.monotonic()
        if now >= self._free_until:  # asked for every message, and each system call gives up the interpreter
            self._free_until = now + _FREE_HOLDS_S
            try:
                self._free = self._core.place.disk.free_bytes(self._core.place.folder)
            except OSError:
                self._free = None
        return self._free

    def begin(self, envelope: Envelope) -> Incoming:
        """See Spool.begin."""
        return self.receive(self.draft(envelope, Kind.RELAY))

    def receive(self, draft: QueuedMessage) -> Incoming:
        """Take in the body of `draft`. Raises NotStored when there is no room."""
        if (room := self.room(draft.size)) != "ok":
            raise NotStored(room, self._core.writer.blocked or "the spool has reached its bounds")
        return Incoming(draft, self._receiving)

    def draft(self, envelope: Envelope, kind: Kind) -> QueuedMessage:
        """A message with a new id and no body yet, due at once."""
        self._last_id += 1
        now = self._core.clock()
        return QueuedMessage(
            id=self._last_id,
            message_id="",
            envelope=envelope,
            recipients=tuple(RecipientState(address) for address in envelope.recipients),
            size=0,
            received_at=now,
            next_attempt=now,
            expires_at=now + self._core.limits.expire_after_s,
            kind=kind,
        )

    def adopted(self, message: QueuedMessage, origin: str) -> QueuedMessage:
        """Another host's message under a new id."""
        self._last_id += 1
        return message._replace(id=self._last_id, origin=origin, body_at=None)

    def store(self, message: QueuedMessage, body: bytes | None) -> "asyncio.Future[Stored]":
        """Commit a message; its body too, unless that is in a file."""

        def on_stored() -> Stored:
            self._core.stored(message, body)
            return Stored(message.id, message.message_id)

        return self._core.submit(insertion(message, body), on_stored)

    def _own(self, work: Coroutine[None, None, Stored]) -> "asyncio.Future[Stored]":
        return self._core.own(work, "spool-commit")

    def _moved(self, octets: int) -> None:
        self._arriving += octets


def insertion(message: QueuedMessage, body: bytes | None) -> Change:
    """What has to be written for a new message."""
    change = Change(inserts=[to_row(message)], counts=arrival_counts(message))
    if body is not None:
        change.bodies.append((message.id, body))
    if message.origin is not None:
        change.origins.append((message.origin, message.id))
    return change
