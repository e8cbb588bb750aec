"""/v1/rollouts: how a revision is getting on."""

from collections.abc import Iterator

from gatepost.client.connection import Connection, Record

PATH = "/v1/rollouts"


class Rollouts:
    """One for each revision, by its number."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, most: int | None = None) -> Iterator[Record]:
        """Newest first."""
        return self._connection.items(PATH, most=most)

    def get(self, revision: int, *, wait_s: float = 0) -> Record:
        """`{state, servers, waiting_for, unreachable, failures}`; wait_s: until it is decided, at most so long."""
        return self._connection.get(f"{PATH}/{revision}", wait_s=wait_s)
