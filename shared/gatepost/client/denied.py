"""/v1/denied-set: addresses that no server serves, whatever config it runs."""

from collections.abc import Iterator, Sequence

from gatepost.client.connection import Connection, Record, Rows
from gatepost.client.errors import ApiProblem
from gatepost.policy.model.addresses import read_range

PATH = "/v1/denied-set"


class DeniedSet:
    """Blocks are past drafts and publishing: every server gets them at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Iterator[Record]:
        return self._connection.items(PATH)

    def block(self, text: str, *, reason: str = "") -> Record:
        """Serve this address, network or range nowhere."""
        return self._connection.post(PATH, {"range": text, "reason": reason})

    def overwrite(self, ranges: Sequence[str] = (), *, reason: str = "") -> Record:
        """After a restored backup: serve what is blocked, and these ranges, nowhere. The blocks that are new."""
        return self._connection.post(f"{PATH}:overwrite", {"ranges": list(ranges), "reason": reason})

    def unblock(self, text: str, *, reason: str = "") -> Record:
        """Lift a block, however its range was written. Raises ApiProblem 404, BadValue."""
        wanted = read_range(text)[:3]
        covering = self.covering(text)
        for entry in covering:
            if read_range(str(entry["range"]))[:3] == wanted:
                return self._connection.delete(f"{PATH}/{entry['id']}", reason=reason or None)
        held = ", ".join(str(entry["range"]) for entry in covering)
        told = f"{text!r} is not blocked" + (f" by itself: {held} blocks it." if held else ".")
        raise ApiProblem(404, "not-found", "There is no such object", told)

    def covering(self, text: str) -> Rows:
        """The blocks that hold the whole of this address, network or range, its own one too. Raises BadValue."""
        version, lo, hi, _ = read_range(text)

        def covers(entry: Record) -> bool:
            block = read_range(str(entry["range"]))
            return block.version == version and block.lo <= lo and hi <= block.hi

        return [entry for entry in self.list() if covers(entry)]
