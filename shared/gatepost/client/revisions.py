"""/v1/revisions: publishing, looking back, going back."""

from collections.abc import Iterator, Sequence

from gatepost.client.connection import Connection, Record

PATH = "/v1/revisions"


class Revisions:
    """Immutable snapshots, by number."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, most: int | None = None) -> Iterator[Record]:
        """Newest first."""
        return self._connection.items(PATH, most=most)

    def get(self, number: int) -> Record:
        return self._connection.get(f"{PATH}/{number}")

    def yaml(self, number: int) -> str:
        """A revision's document as YAML text."""
        return self._connection.text(f"{PATH}/{number}/document", "application/yaml")

    def publish(self, etag: str, *, message: str = "", acknowledgements: Sequence[Record] = ()) -> Record:
        """Publish the draft that has this ETag -> the revision. 422 `refused-by-policy` names the findings.

        acknowledgements: `{id, reason, until}` of findings; needs the admin role.
        """
        body: Record = {"message": message}
        if acknowledgements:
            body["acknowledgements"] = list(acknowledgements)
        return self._connection.post(PATH, body, etag=etag)

    def rollback(
        self, number: int, etag: str, *, reason: str = "", acknowledgements: Sequence[Record] = ()
    ) -> Record:
        """Publish an older document as a new revision; etag is the draft's. What widens needs the admin role."""
        body: Record = {"reason": reason}
        if acknowledgements:
            body["acknowledgements"] = list(acknowledgements)
        return self._connection.post(f"{PATH}/{number}:rollback", body, etag=etag)
