"""/v1/draft: the fleet document as it is being edited."""

from gatepost.client.connection import Connection, Record, Versioned

PATH = "/v1/draft"


class Draft:
    """The whole document, read and replaced as one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self) -> Versioned:
        """The document as plain values, and its ETag."""
        return self._connection.read(PATH)

    def etag(self) -> str:
        """What a publish or a replacement has to carry."""
        return self.get().etag

    def yaml(self) -> str:
        """The document as YAML text."""
        return self._connection.text(PATH, "application/yaml")

    def replace(self, document: Record, *, etag: str | None = None) -> Versioned:
        """Make this the draft -> `{version, changes: {added, changed, removed}}`. 422 names every fault."""
        return self._connection.put(PATH, document, etag=etag)
