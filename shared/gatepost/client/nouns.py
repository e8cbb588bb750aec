"""What every noun of the API has: a path, a connection, and objects that people know by name."""

import re
from collections.abc import Iterator
from urllib.parse import quote

from gatepost.client.connection import Connection, Record, Versioned
from gatepost.client.errors import ApiProblem

_ID = re.compile(r"[a-z]{3}_[a-z0-9]{16}")


class Noun:
    """A collection below /v1. Objects are given by name, or by the id that the API gave them."""

    path: str
    what: str

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, **filters: object) -> Iterator[Record]:
        """Every object, in a stable order; filters as the API names them."""
        return self._connection.items(self.path, filters)

    def get(self, name: str) -> Versioned:
        """One object and its ETag. Raises ApiProblem 404."""
        return self._connection.read(self.at(name))

    def at(self, name: str, below: str = "") -> str:
        """The path of an object, or of something below it."""
        return f"{self.path}/{quote(self.id_of(name), safe='')}{below}"

    def id_of(self, name: str) -> str:
        """The id of a named object; an id is itself. Raises ApiProblem 404."""
        if _ID.fullmatch(name):
            return name
        for found in self._connection.items(self.path, {"name": name}, most=1):
            return str(found["id"])
        raise ApiProblem(
            404, "not-found", "There is no such object", f"There is no {self.what} named {name!r}."
        )
