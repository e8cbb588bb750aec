"""/v1/relay-users: who may log on with AUTH; past drafts, servers get a change at once."""

from collections.abc import Sequence

from gatepost.client.connection import Record
from gatepost.client.nouns import Noun


class RelayUsers(Noun):
    """In permissions and tests a relay user is the principal `user:<name>`."""

    path = "/v1/relay-users"
    what = "relay user"

    def create(self, name: str, *, senders: Sequence[str] = (), comment: str = "") -> Record:
        """-> `{user, changed_servers, secret}`; the secret is shown this once."""
        return self._connection.post(self.path, {"name": name, "senders": list(senders), "comment": comment})

    def change(self, name: str, *, etag: str | None = None, **fields: object) -> Record:
        """Set senders or comment -> `{user, changed_servers}`."""
        return self._connection.patch(self.at(name), fields, etag=etag).body

    def rotate_secret(self, name: str) -> Record:
        """A new secret, as `create` answers; the old one ends as servers take their new bundle."""
        return self._connection.post(self.at(name, ":rotate-secret"))

    def delete(self, name: str, *, etag: str | None = None) -> Record:
        """-> `{user, changed_servers}`."""
        return self._connection.delete(self.at(name), etag=etag)
