"""Permissions against an oracle: reference section 4 written down a second time, asked through whole dialogues."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.policy.analysis.explain import Explanation, Question, explain
from gatepost.policy.dialogue.compiled import Policy, compile_policy
from gatepost.policy.dialogue.rules.auth import verifier
from gatepost.policy.model.bundle import RelayUser, Server, render
from tests.support.policies import NOW, document

ANONYMOUS, AUTHENTICATED, SECURED, USER = "anonymous", "authenticated", "secured", "user"
SPELLED = {
    ANONYMOUS: "S-1-5-7",
    AUTHENTICATED: r"nt authority\authenticated users",
    SECURED: r"MS Exchange\Externally Secured Servers",
    USER: "user:Scanner",
}
SUBMIT, RECIPIENT, SENDER, OWN = (
    "Submit",
    "Accept-Any-Recipient",
    "Accept-Any-Sender",
    "Accept-Authoritative-Domain-Sender",
)
RIGHTS = [SUBMIT, RECIPIENT, SENDER, OWN]
# What section 4.1 says of the four rights that decide a dialogue, for whom a session can be here.
GROUPS: dict[str, dict[str, list[str]]] = {
    "AnonymousUsers": {ANONYMOUS: [SENDER, OWN, SUBMIT]},
    "ExchangeUsers": {AUTHENTICATED: [RECIPIENT, SUBMIT]},
    "ExchangeServers": {SECURED: [RECIPIENT, SENDER, OWN, SUBMIT]},
    "ExchangeLegacyServers": {},
    "Partners": {},
}

Row = tuple[str, str, bool, bool]  # principal, right, deny, inherited
ROWS = st.tuples(st.sampled_from(sorted(SPELLED)), st.sampled_from(RIGHTS), st.booleans(), st.booleans())


def holds(groups: list[str], rows: list[Row], token: set[str], right: str) -> bool:
    """Explicit deny, then explicit allow, then inherited deny, then inherited allow."""
    explicit = {
        deny for who, what, deny, inherited in rows if who in token and what == right and not inherited
    }
    explicit |= {
        False for group in groups for who, rights in GROUPS[group].items() if who in token and right in rights
    }
    inherited_ = {deny for who, what, deny, inherited in rows if who in token and what == right and inherited}
    decisive = explicit or inherited_
    return bool(decisive) and True not in decisive


def expected(groups: list[str], rows: list[Row], token: set[str], sender: str, recipient: str) -> str:
    """The code of the last reply to a message from and to these domains."""

    def may(right: str) -> bool:
        return holds(groups, rows, token, right)

    if not may(SUBMIT):
        return "535 5.7.3" if USER in token else "530 5.7.1"
    if sender and not may(OWN if sender == "contoso.com" else SENDER):
        return "550 5.7.1"
    # All three kinds of accepted domain are taken; only one's own senders are another matter.
    return "250 2.1.5" if recipient != "elsewhere.net" or may(RECIPIENT) else "550 5.7.1"


def policy_of(groups: list[str], rows: list[Row], mechanism: list[str]) -> Policy:
    connector: dict[str, Any] = {
        "name": "Door",
        "bindings": ["0.0.0.0:25"],
        "remote_ip_ranges": ["10.0.0.1"],
        "auth_mechanism": mechanism,
        "permission_groups": groups,
        "permissions": [
            {
                "principal": SPELLED[who],
                "rights": [f"ms-exch-smtp-{right}"],
                "deny": deny,
                "inherited": inherited,
            }
            for who, right, deny, inherited in rows
        ],
    }
    domains = [{"domain": "contoso.com"}, {"domain": "shared.com", "type": "internal_relay"}]
    user = RelayUser(name="Scanner", verifier=verifier(b"s" * 16, b"x"))
    rendered = render(document(connector, accepted_domains=domains), Server("mx1"), [user])
    return compile_policy(rendered, addresses={}, fqdn="mx1.contoso.com", now=NOW)


def answer(policy: Policy, sender: str, recipient: str, user: str | None) -> Explanation:
    mail_from = f"a@{sender}" if sender else "<>"
    question = Question(remote="10.0.0.1", mail_from=mail_from, rcpt_to=(f"b@{recipient}",), user=user)
    return explain(policy, question, now=NOW)


GROUP_LISTS = st.lists(st.sampled_from(sorted(GROUPS)), unique=True)
SENDERS = st.sampled_from(["", "contoso.com", "shared.com", "elsewhere.net"])
RECIPIENTS = st.sampled_from(["contoso.com", "shared.com", "elsewhere.net"])


@settings(max_examples=150, deadline=None)
@given(GROUP_LISTS, st.lists(ROWS, max_size=6), SENDERS, RECIPIENTS)
def test_an_anonymous_client(groups: list[str], rows: list[Row], sender: str, recipient: str) -> None:
    found = answer(policy_of(groups, rows, []), sender, recipient, None)
    assert found.reply[:9] == expected(groups, rows, {ANONYMOUS}, sender, recipient)


@settings(max_examples=150, deadline=None)
@given(GROUP_LISTS, st.lists(ROWS, max_size=6), SENDERS, RECIPIENTS)
def test_a_relay_user_has_only_a_users_rights(
    groups: list[str], rows: list[Row], sender: str, recipient: str
) -> None:
    found = answer(policy_of(groups, rows, ["BasicAuth"]), sender, recipient, "scanner")
    assert found.reply[:9] == expected(groups, rows, {USER, AUTHENTICATED}, sender, recipient)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS, max_size=6), SENDERS, RECIPIENTS)
def test_an_externally_secured_client(rows: list[Row], sender: str, recipient: str) -> None:
    # Anonymous rights beside it are refused when the connector is written.
    rows = [row for row in rows if row[0] != ANONYMOUS or row[2]]
    found = answer(policy_of(["ExchangeServers"], rows, ["ExternalAuthoritative"]), sender, recipient, None)
    assert found.reply[:9] == expected(["ExchangeServers"], rows, {SECURED}, sender, recipient)
