"""/v1/servers: mail hosts; /v1/enrollment-tokens: what lets them in."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from gatepost.client.connection import Record, Versioned
from gatepost.client.nouns import Noun

Verb = Literal["retry", "adopt", "overwrite", "retire", "ban"]


class Servers(Noun):
    path = "/v1/servers"
    what = "server"

    def change(self, name: str, *, etag: str | None = None, **fields: object) -> Versioned:
        """Set labels, addresses or fqdn; in force from the next publish on."""
        return self._connection.patch(self.at(name), fields, etag=etag)

    def change_entries(self, name: str, field: str, entries: Mapping[str, str | None]) -> Versioned:
        """Set some labels or addresses (None removes one) and leave the others alone."""
        found = self.get(self.id_of(name))
        merged = found.body[field] | entries
        kept = {key: value for key, value in merged.items() if value is not None}
        return self.change(str(found.body["id"]), etag=found.etag, **{field: kept})

    def act(self, name: str, verb: Verb, *, reason: str = "") -> Record:
        """Move a server to another state -> the server."""
        return self._connection.post(self.at(name, f":{verb}"), {"reason": reason})

    def make_default_connector(self, name: str, *, bindings: Sequence[str] = ()) -> Record:
        """Add a safe default connector for the server to the draft -> the connector.

        It takes mail to accepted domains from everybody and lets nobody relay. bindings: 0.0.0.0:25 and [::]:25
        without any.
        """
        body: Record = {"bindings": list(bindings)} if bindings else {}
        return self._connection.post(self.at(name, ":default-connector"), body)

    def attempts(self, name: str) -> list[Record]:
        """How the latest generations ended there, newest first."""
        found: Any = self._connection.json(self.at(name, "/attempts"))
        return list(found)


class EnrollmentTokens(Noun):
    path = "/v1/enrollment-tokens"
    what = "enrollment token"

    def create(
        self,
        *,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        addresses: Mapping[str, str] | None = None,
        ttl_s: int | None = None,
        uses: int | None = None,
    ) -> Record:
        """-> `{token, fingerprint, …}`; the token is shown this once."""
        given = {"name": name, "labels": labels, "addresses": addresses, "ttl_s": ttl_s, "uses": uses}
        return self._connection.post(self.path, {key: value for key, value in given.items() if value})

    def revoke(self, token_id: str) -> Record:
        return self._connection.delete(self.at(token_id))
