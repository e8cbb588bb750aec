"""/v1/api-tokens: who may call."""

from typing import Literal

from gatepost.client.connection import Record
from gatepost.client.errors import ApiProblem
from gatepost.client.nouns import Noun

Role = Literal["viewer", "operator", "admin"]


class ApiTokens(Noun):
    path = "/v1/api-tokens"
    what = "API token"

    def create(self, name: str, role: Role, *, expires_in_s: int | None = None) -> Record:
        """-> `{token, …}`; the token is shown this once."""
        body: Record = {"name": name, "role": role}
        if expires_in_s is not None:
            body["expires_in_s"] = expires_in_s
        return self._connection.post(self.path, body)

    def id_of(self, name: str) -> str:
        """The id of a token by its id or, while it is live, by its name."""
        for token in self.list():
            if name == token["id"] or (name == token["name"] and token["revoked_at"] is None):
                return str(token["id"])
        raise ApiProblem(404, "not-found", "There is no such object", f"There is no live token {name!r}.")

    def revoke(self, token_id: str) -> Record:
        """End a token at once."""
        return self._connection.delete(self.at(token_id))
