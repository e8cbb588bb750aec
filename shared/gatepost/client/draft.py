"""/v1/draft: the fleet document as it is being edited."""

from collections.abc import Mapping
from typing import Any

from gatepost.client.connection import Connection, Record, Versioned
from gatepost.client.revisions import PATH as REVISIONS

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

    def lost_to(self, document: Record) -> list[str]:
        """The unpublished changes that this document, put in the draft's place, would undo: `connectors/<name>`."""
        published, draft, wanted = map(_objects, (self._published(), self.get().body, document))
        return [
            name
            for name in dict.fromkeys((*draft, *published))
            if draft.get(name) not in (published.get(name), wanted.get(name))
        ]

    def _published(self) -> Record:
        for latest in self._connection.items(REVISIONS, most=1):
            return self._connection.get(f"{REVISIONS}/{latest['number']}/document")
        return {}


def _objects(document: Record) -> Mapping[str, Any]:
    """A document's objects by part and name; every part is a list."""
    return {
        f"{part}/{item.get('name', item.get('domain'))}": item
        for part, items in document.items()
        for item in items
    }
