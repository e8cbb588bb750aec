"""Large bodies, each in a file of its own: the envelope's line, the body, a closing line.

The row in the database is the commit point, so nothing is renamed; a file without a row is an orphan. The two lines
are for the day when the row is lost with the database: they hold all that is needed to queue the message again, and a
file without a whole closing line was never answered 250.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gatepost_agent.spool.codec import from_line, to_line
from gatepost_agent.spool.disk import AppendFile, Disk
from gatepost_agent.spool.errors import Unreadable
from gatepost_agent.spool.faults import Fault, no_fault
from gatepost_agent.spool.messages import QueuedMessage

BLOCK = 128 * 1024
_SYNC_EVERY = 256 * 1024
_CLOSING_MAX = 4096


class BodyFile:
    """A body on its way to the disk. Blocking; one call at a time, from any worker."""

    def __init__(self, disk: Disk, path: Path, draft: QueuedMessage, fault: Fault) -> None:
        """Create the file. Raises OSError."""
        self._disk = disk
        self._path = path
        self._fault = fault
        self._unsynced = 0
        self._file: AppendFile = disk.create(path)
        fault("body-created")
        self._line = [to_line(draft)]  # goes with the first of the body
        self.body_at = len(self._line[0])

    def append(self, blocks: Sequence[bytes]) -> None:
        """Add to the body. Synced on the way, so that the last sync of a large body is short."""
        self._file.append([*self._line, *blocks])
        self._line = []
        self._fault("body-written")
        self._unsynced += sum(map(len, blocks))
        if self._unsynced >= _SYNC_EVERY:
            self._file.sync()
            self._unsynced = 0

    def finish(self, message: QueuedMessage) -> None:
        """Close it so that it survives a power cut, name included."""
        closing = {  # what the first line could not know
            "message_id": message.message_id,
            "size": message.size,
            "crc32": message.crc32,
            "eight_bit": message.envelope.eight_bit,
            "smtp_utf8": message.envelope.smtp_utf8,
        }
        self._file.append([b"\n", json.dumps(closing).encode("ascii"), b"\n"])
        self._file.sync()
        self._fault("body-synced")
        self._file.close()
        self._disk.sync_folder(self._path.parent)
        self._fault("folder-synced")

    def discard(self) -> None:
        """Remove it."""
        self._file.close()
        self._disk.unlink(self._path)


class Bodies:
    """The folder of body files."""

    def __init__(self, disk: Disk, folder: Path, fault: Fault = no_fault) -> None:
        self._disk = disk
        self._folder = folder
        self._fault = fault

    def prepare(self) -> None:
        """Make the folder."""
        self._disk.make_folder(self._folder)
        self._disk.sync_folder(self._folder.parent)

    def create(self, draft: QueuedMessage) -> BodyFile:
        """A new file for `draft`."""
        return BodyFile(self._disk, self._path(draft.id), draft, self._fault)

    def blocks(self, message: QueuedMessage) -> Callable[[int], bytes]:
        """A function from an offset in the body to the block there. Raises OSError; short if the file is."""
        path, start, size = self._path(message.id), message.body_at or 0, message.size
        return lambda offset: self._disk.read(path, start + offset, min(BLOCK, size - offset))

    def remove(self, ids: Sequence[int]) -> None:
        """Remove the files of messages that are gone."""
        for queue_id in ids:
            self._disk.unlink(self._path(queue_id))
            self._fault("body-unlinked")

    def ids(self) -> set[int]:
        """The ids that have a file."""
        return {int(name) for name in self._disk.names(self._folder) if name.isdecimal()}

    def whole(self, ids: Iterator[int]) -> Iterator[QueuedMessage]:
        """Those of the files that were completely received, as they were queued first."""
        for queue_id in ids:
            try:
                yield self._read_back(self._path(queue_id))
            except (Unreadable, OSError):
                continue

    def _read_back(self, path: Path) -> QueuedMessage:
        size = self._disk.size(path)
        head = self._first_line(path)
        tail = self._disk.read(path, max(0, size - _CLOSING_MAX), _CLOSING_MAX)
        closing_line = tail[tail.rstrip(b"\n").rfind(b"\n") + 1 :]
        try:
            closing = json.loads(closing_line)
            draft = from_line(head)
            message = draft._replace(
                envelope=draft.envelope._replace(
                    eight_bit=closing["eight_bit"], smtp_utf8=closing["smtp_utf8"]
                ),
                message_id=closing["message_id"],
                size=closing["size"],
                crc32=closing["crc32"],
                body_at=len(head),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Unreadable(f"{path.name} was not completely received") from error
        if len(head) + message.size + 1 + len(closing_line) != size:
            raise Unreadable(f"{path.name} has {size} octets, which is not what its lines say")
        return message

    def _first_line(self, path: Path) -> bytes:
        line = b""
        while block := self._disk.read(path, len(line), BLOCK):
            end = block.find(b"\n")
            if end >= 0:
                return line + block[: end + 1]
            line += block
        raise Unreadable(f"{path.name} has no first line")

    def _path(self, queue_id: int) -> Path:
        return self._folder / str(queue_id)
