"""The client: one attribute for each noun of the API, and the questions that are no nouns."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gatepost.client.connection import PATIENCE_S, Connection, Record, Versioned
from gatepost.client.denied import DeniedSet
from gatepost.client.draft import Draft
from gatepost.client.pieces import AcceptedDomains, Connectors, SendConnectors
from gatepost.client.relay_users import RelayUsers
from gatepost.client.revisions import Revisions
from gatepost.client.rollouts import Rollouts
from gatepost.client.servers import EnrollmentTokens, Servers
from gatepost.client.tokens import ApiTokens


class Client:
    """The control plane at `url`, as the holder of `token`.

    ca_file: PEM of the CA that signed the control plane's certificate, when the system does not know it. http:// is
    taken for loopback only, redirects are not followed. Changes carry If-Match, and every POST an Idempotency-Key.
    patience_s: how long, in all, one call waits when it is told to come back later (429, 503).

    Raises RefusedUrl; its methods raise ApiProblem and Unreachable.
    """

    def __init__(
        self, url: str, token: str, ca_file: str | Path | None = None, *, patience_s: float = PATIENCE_S
    ) -> None:
        connection = Connection(url, token, ca_file, patience_s=patience_s)
        self.connection = connection
        self.draft = Draft(connection)
        self.denied_set = DeniedSet(connection)
        self.connectors = Connectors(connection)
        self.accepted_domains = AcceptedDomains(connection)
        self.send_connectors = SendConnectors(connection)
        self.servers = Servers(connection)
        self.enrollment_tokens = EnrollmentTokens(connection)
        self.revisions = Revisions(connection)
        self.rollouts = Rollouts(connection)
        self.relay_users = RelayUsers(connection)
        self.api_tokens = ApiTokens(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections."""
        self.connection.close()

    def plan(self, document: Record | None = None) -> Versioned:
        """What publishing this document (None: the draft) would change; the ETag is the draft's at that time.

        The body is a `gatepost.policy.analysis.plan.Plan` as JSON.
        """
        return self.connection.submit("/v1/plan", {} if document is None else {"document": document})

    def explain(self, server: str, remote: str, **question: Any) -> Record:
        """What happens to a client, and why; the question's fields are those of a test, `when` and `of`."""
        asked = {name: value for name, value in question.items() if value not in (None, (), [])}
        return self.connection.post("/v1/explain", {"server": server, "remote": remote} | asked)

    def counts(self, *, server: str | None = None, connector: str | None = None) -> Record:
        """Messages accepted, delivered, bounced and refused: `{totals, connectors, servers}`."""
        return self.connection.get("/v1/counts", server=server, connector=connector)

    def devices(self, **filters: object) -> Iterator[Record]:
        """Client addresses as servers saw them; filters: server, connector, address, range,
        last_seen__lt."""
        return self.connection.items("/v1/devices", filters)

    def audit_events(self, *, most: int | None = None, **filters: object) -> Iterator[Record]:
        """Changes, newest first; filters: actor, action, object_kind, object_name, since, until."""
        return self.connection.items("/v1/audit-events", filters, most=most)

    def audit_lines(self, **filters: object) -> str:
        """Every matching change as one JSON object a line."""
        return self.connection.text("/v1/audit-events:export", "application/jsonl", **filters)
