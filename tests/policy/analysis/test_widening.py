"""What widens, against the session itself at every address of a small space."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gatepost.policy.analysis.explain import Question, Verdict, explain
from gatepost.policy.analysis.sides import Side
from gatepost.policy.analysis.widening import Widening, widenings
from gatepost.policy.dialogue.compiled import Policy
from gatepost.policy.dialogue.rules.auth import verifier
from gatepost.policy.model.addresses import parse_address, parse_range
from gatepost.policy.model.bundle import RelayUser, Server
from gatepost.policy.model.rights import EFFECTIVE, Right
from tests.support.findings import side
from tests.support.policies import ANONYMOUS_RELAY, FRONTEND, NOW, RELAY

SECURED = {
    "auth_mechanism": ["ExternalAuthoritative"],
    "permission_groups": ["ExchangeServers"],
    "permissions": [],
}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"permissions": []},
    "relay": {},
    "secured": SECURED,
    "no submit": {"permission_groups": [], "permissions": [ANONYMOUS_RELAY]},
    "one partner": {"allowed_recipient_domains": ["fabrikam.com"]},
    "users": {"permission_groups": ["ExchangeUsers"], "permissions": [], "auth_mechanism": ["BasicAuth"]},
}
BINDINGS = ["0.0.0.0:25", "10.9.9.9:25"]
USERS = [RelayUser(name="scanner", verifier=verifier(b"s" * 16, b"x"))]


@st.composite
def fleets(draw: st.DrawFn) -> list[dict[str, Any]]:
    listed = []
    for at in range(draw(st.integers(0, 3))):
        lo = draw(st.integers(1, 11))
        hi = draw(st.integers(lo, 11))
        listed.append(
            RELAY
            | {
                "name": f"c{at}",
                "remote_ip_ranges": [f"192.0.2.{lo}-192.0.2.{hi}"],
                "bindings": draw(st.lists(st.sampled_from(BINDINGS), min_size=1, max_size=2, unique=True)),
            }
            | KINDS[draw(st.sampled_from(sorted(KINDS)))]
        )
    return listed


def made(listed: list[dict[str, Any]]) -> Side:
    found = side(*(listed or [FRONTEND | {"enabled": False}]), users=USERS)
    assume(not found.groups[0].problems)
    return found


def policy_of(found: Side) -> Policy:
    policy = found.policy("mx1")
    assert policy is not None
    return policy


def done(policy: Policy, client: str, local: str) -> set[tuple[str, ...]]:
    """What a client can get done: mail to us, to a partner, to anybody, each unproved and as a user."""
    found: set[tuple[str, ...]] = set()
    for user in (None, "scanner"):
        for to in ("contoso.com", "fabrikam.com", "elsewhere.net"):
            for sender in ("<>", "a@contoso.com", "a@evil.net"):
                asked = Question(
                    remote=client, local=local, mail_from=sender, rcpt_to=(f"a@{to}",), user=user
                )
                if explain(policy, asked, now=NOW).verdict is Verdict.ACCEPTED:
                    found.add((user or "", to, sender))
    return found


def power(policy: Policy, client: str, local: str) -> set[tuple[str, ...]]:
    """The same read off the connectors' rights, so that sizes and headers count too."""
    explained = explain(policy, Question(remote=client, local=local), now=NOW)
    if not explained.connector:
        return set()
    door = policy.connectors[explained.connector]
    found: set[tuple[str, ...]] = set()
    proved = ["user:scanner"] if "BasicAuth" in door.model.auth_mechanism else []
    for principal in (door.first_principal, *proved):
        rights = door.rights(principal)
        if Right.SUBMIT in rights:
            found |= {("user" if principal in proved else "", str(right)) for right in rights & EFFECTIVE}
    return found


@st.composite
def edits(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A fleet before and after small edits, many of which narrow."""
    old = draw(fleets())
    new = []
    for connector in old:
        edited = dict(connector)
        match draw(st.sampled_from(["keep", "drop", "plain", "partner", "another kind", "no range"])):
            case "drop":
                continue
            case "plain":
                edited |= {"permissions": []}
            case "partner":
                edited |= {"allowed_recipient_domains": ["fabrikam.com"]}
            case "another kind":
                edited |= KINDS[draw(st.sampled_from(sorted(KINDS)))]
            case "no range":
                edited |= {"remote_ip_ranges": []}
        new.append(edited)
    return old, new


@settings(max_examples=40, deadline=None)
@given(edits())
def test_what_only_narrows_gives_no_client_anything(
    made_: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    try:
        before, after = (made(listed) for listed in made_)
    except ValidationError:
        assume(False)
    if not widenings(before, after):
        for client in (f"192.0.2.{last}" for last in range(1, 12, 2)):
            for local in BINDINGS:
                gained = done(policy_of(after), client, local) - done(policy_of(before), client, local)
                assert gained == set(), (client, local)


@settings(max_examples=80, deadline=None)
@given(fleets(), fleets())
def test_clients_are_told_exactly(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    before, after = made(old), made(new)
    told = [
        w for w in widenings(before, after) if w.kind == "clients" and any("ms-Exch" in g for g in w.gains)
    ]
    listed = {text for widening in told for text in widening.ranges}
    gaining = {
        f"192.0.2.{last}"
        for last in range(1, 12)
        for local in BINDINGS
        if power(policy_of(after), f"192.0.2.{last}", local)
        - power(policy_of(before), f"192.0.2.{last}", local)
    }
    spread = {f"192.0.2.{last}" for last in range(1, 12) if any(_holds(text, last) for text in listed)}
    assert spread == gaining


def _holds(text: str, last: int) -> bool:
    return parse_range(text).holds(parse_address(f"192.0.2.{last}"))


def the_one(old: Side, new: Side) -> Widening:
    (widening,) = widenings(old, new)
    return widening


def test_nothing_changed_nothing_widens() -> None:
    assert widenings(side(), side()) == ()


def test_one_more_printer() -> None:
    more = RELAY | {"remote_ip_ranges": [*RELAY["remote_ip_ranges"], "192.168.5.12"]}
    widening = the_one(side(), side(FRONTEND, more))
    assert (widening.kind, widening.subject, widening.ranges) == (
        "clients",
        "Anonymous Relay",
        ("192.168.5.12",),
    )
    assert widening.gains == ("ms-Exch-SMTP-Accept-Any-Recipient",)
    assert "from 'Default Frontend'" in widening.detail
    assert widening.servers == ("mx1",)
    assert widenings(side(FRONTEND, more), side()) == ()


def test_a_right_for_those_who_are_there() -> None:
    without = RELAY | {"permissions": []}
    widening = the_one(side(FRONTEND, without), side())
    assert widening.ranges == ("10.20.0.0/24", "10.30.0.5-10.30.0.20", "192.168.5.10/31")
    assert "stay with 'Anonymous Relay'" in widening.detail


def test_a_hole_narrows_and_filling_it_widens() -> None:
    hole = FRONTEND | {"name": "Hole", "remote_ip_ranges": ["10.20.0.7"]}
    assert widenings(side(), side(FRONTEND, RELAY, hole)) == ()
    assert the_one(side(FRONTEND, RELAY, hole), side()).ranges == ("10.20.0.7",)


def test_a_server_that_joins_gives_its_clients_service() -> None:
    fleet = [Server("mx1"), Server("mx2")]
    joined = widenings(side(servers=fleet[:1]), side(servers=fleet))
    assert {widening.servers for widening in joined} == {("mx2",)}
    assert {widening.subject for widening in joined} == {"Default Frontend", "Anonymous Relay"}
    assert widenings(side(servers=fleet), side(servers=fleet[:1])) == ()


def test_a_new_port_gives_service_there() -> None:
    widening = the_one(side(FRONTEND), side(FRONTEND | {"bindings": ["0.0.0.0:25", "0.0.0.0:26"]}))
    assert "come to 'Default Frontend'" in widening.detail


def test_settings_are_told_with_what_they_were() -> None:
    widening = the_one(side(), side(FRONTEND, RELAY | {"message_rate_limit": "unlimited"}))
    assert widening == Widening(
        kind="setting", subject="Anonymous Relay", detail="message_rate_limit was 600 and is unlimited"
    )
    assert widenings(side(), side(FRONTEND, RELAY | {"message_rate_limit": 5, "comment": "slow"})) == ()


def test_accepted_domains() -> None:
    both = [{"domain": "contoso.com"}, {"domain": "fabrikam.com"}]
    widening = the_one(side(), side(accepted_domains=both))
    assert (widening.kind, widening.subject) == ("domain", "fabrikam.com")
    assert widenings(side(accepted_domains=both), side()) == ()


def test_a_domain_that_is_no_longer_ours_frees_its_senders() -> None:
    own = {
        "principal": "anonymous logon",
        "rights": ["ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"],
        "deny": True,
    }
    strict = FRONTEND | {"permissions": [own]}
    both = [{"domain": "contoso.com"}, {"domain": "fabrikam.com"}]
    widening = the_one(side(strict, accepted_domains=both), side(strict))
    assert (widening.kind, widening.subject) == ("domain", "fabrikam.com")


def test_routes_assertions_and_users() -> None:
    assertion = {"name": "few", "relay_only_from": ["10.0.0.0/8", "192.168.0.0/16"]}
    assert the_one(side(assertions=[assertion]), side()).kind == "assertion"
    assert widenings(side(), side(assertions=[assertion])) == ()
    assert the_one(side(), side(send_connectors=[])).kind == "route"
    assert the_one(side(), side(users=USERS)).kind == "user"
    assert widenings(side(users=USERS), side()) == ()
