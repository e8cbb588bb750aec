"""Look-ups by domain: the accepted domains, and a connector's lists of allowed domains."""

from collections.abc import Iterable, Iterator

from gatepost.policy.model.document import AcceptedDomain
from gatepost.policy.model.mailboxes import Mailbox


def _parents(domain: str) -> Iterator[str]:
    """The domains that hold `domain`, the nearest first."""
    _, dot, rest = domain.partition(".")
    while dot:
        yield rest
        _, dot, rest = rest.partition(".")


class AcceptedDomains:
    """What we receive for; the most specific entry wins. Sub-domains only when an entry says so."""

    def __init__(self, entries: Iterable[AcceptedDomain]) -> None:
        self._exact: dict[str, AcceptedDomain] = {}
        self._below: dict[str, AcceptedDomain] = {}
        self._all: AcceptedDomain | None = None
        for entry in entries:
            if entry.domain == "*":
                self._all = entry
            elif entry.domain.startswith("*."):
                self._below[entry.domain[2:]] = entry
            else:
                self._exact[entry.domain] = entry
                if entry.match_sub_domains:
                    self._below.setdefault(entry.domain, entry)

    def find(self, mailbox: Mailbox) -> AcceptedDomain | None:
        """The entry that a recipient lies in; an address that is not plain lies in none."""
        return self.lying_in(mailbox.domain) if mailbox.plain else None

    def lying_in(self, domain: str) -> AcceptedDomain | None:
        """The entry that holds a domain: for senders, where an odd local part must not escape a stricter rule."""
        found = self._exact.get(domain)
        if found is None and self._below:
            parents = (parent for parent in _parents(domain) if parent in self._below)
            found = next((self._below[parent] for parent in parents), None)
        return found or self._all


class DomainSet:
    """A connector's list of allowed domains. An empty list allows everything: the setting is unset."""

    def __init__(self, domains: Iterable[str]) -> None:
        self._domains = frozenset(domains)

    def allows(self, mailbox: Mailbox) -> bool:
        return not self._domains or (mailbox.plain and mailbox.domain in self._domains)


def within(old: tuple[str, ...], new: tuple[str, ...]) -> bool:
    """Whether a list of allowed domains allows no more than another; an empty list allows all."""
    return not old or (bool(new) and set(new) <= set(old))
