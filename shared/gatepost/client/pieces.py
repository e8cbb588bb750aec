"""The draft piece by piece: /v1/connectors, /v1/accepted-domains, /v1/send-connectors."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from gatepost.client.connection import Record, Rows, Versioned
from gatepost.client.errors import ApiProblem
from gatepost.client.nouns import Noun
from gatepost.policy.model.addresses import parse_range

ATTEMPTS = 5  # of a change to a list that others are changing too


class Pieces(Noun):
    """Pieces that are created, changed by merge patch and removed alone."""

    def create(self, piece: Record) -> Record:
        return self._connection.post(self.path, piece)

    def change(self, name: str, changes: Record, *, etag: str | None = None) -> Versioned:
        """JSON Merge Patch (RFC 7396): null resets a field to its default."""
        return self._connection.patch(self.at(name), changes, etag=etag)

    def remove(self, name: str, *, etag: str | None = None) -> Record:
        return self._connection.delete(self.at(name), etag=etag)

    def amend(self, name: str, amended: Callable[[Record], Record]) -> Versioned:
        """Read, work out the changes from what was read, and write; again when somebody else was faster."""
        known = self.id_of(name)
        for attempt in range(ATTEMPTS):
            found = self.get(known)
            changes = amended(found.body)
            if not changes:
                return found
            try:
                return self.change(known, changes, etag=found.etag)
            except ApiProblem as problem:
                if problem.status != 412 or attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")


class AcceptedDomains(Pieces):
    path = "/v1/accepted-domains"
    what = "accepted domain"


class SendConnectors(Pieces):
    path = "/v1/send-connectors"
    what = "send connector"


class Connectors(Pieces):
    """Receive connectors, their remote IP ranges and permissions."""

    path = "/v1/connectors"
    what = "connector"

    def permissions(self, name: str, **filters: object) -> Iterator[Record]:
        """Rows of user, right, deny, inherited and source, as Get-ADPermission lists them."""
        return self._connection.items(self.at(name, "/permissions"), filters)

    def add_permissions(self, name: str, user: str, rights: Sequence[str], *, deny: bool = False) -> Rows:
        """Allow or deny extended rights to a security principal -> all its rows on the connector."""
        body = {"user": user, "rights": list(rights), "deny": deny}
        return self._connection.rows("POST", self.at(name, "/permissions"), body)

    def remove_permission(self, name: str, user: str, right: str, *, deny: bool = False) -> Rows:
        """Take an explicit entry away -> the principal's other rows."""
        path = self.at(name, "/permissions")
        return self._connection.rows("DELETE", path, user=user, right=right, deny="true" if deny else None)

    def ranges(self, name: str, **filters: object) -> Iterator[Record]:
        """Remote IP ranges with note, end and last hit on any server; filter: unused_since, an RFC 3339 time."""
        return self._connection.items(self.at(name, "/ranges"), filters)

    def anonymous_relay(self, name: str, method: Literal["anonymous", "externally_secured"]) -> Record:
        """Give the connector's hosts the right to relay, by one of the two methods -> the connector."""
        return self._connection.post(self.at(name, "/anonymous-relay"), {"method": method})

    def add_range(
        self, name: str, text: str, *, note: str | None = None, expires_at: str | None = None
    ) -> Versioned:
        """Let an address, network or range use the connector.

        One that is listed stays where and as it is, but for what is given: None keeps its note or end, "" clears it.
        """

        def amended(body: Record) -> Record:
            entries, at = _listed(body), _place(body, text)
            known = entries[at : at + 1]
            entries[at : at + 1] = [_entry(known[0] if known else text, note=note, expires_at=expires_at)]
            return _ranges(entries)

        return self.amend(name, amended)

    def listed_range(self, name: str, text: str) -> Record | None:
        """A range's entry, `{range, note, expires_at}` as far as given; None when it is not listed."""
        body = self.get(name).body
        known = _listed(body)[_place(body, text) :][:1]
        return _as_object(known[0]) if known else None

    def remove_range(self, name: str, text: str) -> Versioned:
        """Take a range, as it is listed, off the connector. Raises ApiProblem 404 when none is listed."""

        def amended(body: Record) -> Record:
            kept = _without(body, text)
            if len(kept) == len(_listed(body)):
                told = ", ".join(range_of(entry) for entry in _listed(body)) or "no range"
                raise ApiProblem(
                    404, "not-found", "There is no such range", f"{name!r} lists {told}; not {text!r}."
                )
            return _ranges(kept)

        return self.amend(name, amended)

    def replace_ranges(self, name: str, texts: list[str]) -> Versioned:
        """Make these the connector's only ranges; notes and ends of those that stay are kept."""

        def amended(body: Record) -> Record:
            known = {parse_range(range_of(entry))[:3]: entry for entry in _listed(body)}
            return _ranges([known.get(parse_range(text)[:3], text) for text in texts])

        return self.amend(name, amended)


def range_of(entry: object) -> str:
    """The range of an entry of `remote_ip_ranges`, which is a text or an object."""
    return str(entry["range"]) if isinstance(entry, dict) else str(entry)


def _listed(body: Record) -> list[Any]:
    return list(body.get("remote_ip_ranges", ()))


def _without(body: Record, text: str) -> list[Any]:
    """The entries that are not this range, however it was written there. Raises BadValue."""
    wanted = parse_range(text)[:3]
    return [entry for entry in _listed(body) if parse_range(range_of(entry))[:3] != wanted]


def _place(body: Record, text: str) -> int:
    """Where this range is listed, however it was written there, or after all of them. Raises BadValue."""
    wanted = parse_range(text)[:3]
    entries = _listed(body)
    places = (at for at, entry in enumerate(entries) if parse_range(range_of(entry))[:3] == wanted)
    return next(places, len(entries))


def _ranges(entries: list[Any]) -> Record:
    return {"remote_ip_ranges": entries}


def _as_object(entry: Any) -> Record:
    return dict(entry) if isinstance(entry, dict) else {"range": entry}


def _entry(known: Any, **given: str | None) -> Any:
    """An entry with what is given; one without note and end is its range alone."""
    told = _as_object(known) | {name: value for name, value in given.items() if value is not None}
    kept = {name: value for name, value in told.items() if value != ""}
    return kept if len(kept) > 1 else kept["range"]
