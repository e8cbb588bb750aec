"""What widens, against the session itself at every address of a small space."""

from typing import Any

import pytest
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
    "own senders": {"permissions": [], "allowed_sender_domains": ["contoso.com"]},
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


def power(policy: Policy, client: str, local: str, now: float = NOW) -> set[tuple[str, ...]]:
    """The same read off the connectors' rights, so that sizes and headers count too."""
    explained = explain(policy, Question(remote=client, local=local), now=now)
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


def test_lists_are_told_as_one_would_write_them() -> None:
    mechanisms = RELAY | {"auth_mechanism": ["Tls", "BasicAuth"], "tls_certificate_name": "mx1"}
    listed = mechanisms | {"allowed_sender_domains": ["x.org", "y.org"]}
    wide = mechanisms | {"auth_mechanism": [], "allowed_sender_domains": ["z.org"]}
    told = {w.detail for w in widenings(side(FRONTEND, listed), side(FRONTEND, wide)) if w.kind == "setting"}
    assert told == {
        "auth_mechanism was Tls, BasicAuth and is none",
        "allowed_sender_domains was x.org, y.org and is z.org",
    }


def test_a_connector_under_another_name_with_laxer_settings() -> None:
    strict = RELAY | {"tls_certificate_name": "mx1", "require_tls": True, "message_rate_limit": 5}
    renamed = RELAY | {"name": "Relay2", "tls_certificate_name": "mx1", "message_rate_limit": "unlimited"}
    widening = the_one(side(FRONTEND, strict), side(FRONTEND, renamed))
    assert (widening.kind, widening.subject) == ("clients", "Relay2")
    assert widening.detail == "clients that come to 'Relay2' from 'Anonymous Relay' gain by laxer settings"
    assert widening.gains == ("require_tls", "message_rate_limit")
    assert widening.ranges == ("10.20.0.0/24", "10.30.0.5-10.30.0.20", "192.168.5.10/31")
    assert widenings(side(FRONTEND, renamed), side(FRONTEND, strict)) == ()


def test_a_client_that_never_relayed_gains_by_a_laxer_connector() -> None:
    lax = FRONTEND | {"name": "B", "remote_ip_ranges": ["10.0.0.6"]}
    strict = FRONTEND | {
        "name": "A",
        "remote_ip_ranges": ["10.0.0.5"],
        "tls_certificate_name": "mx1",
        "require_tls": True,
        "allowed_sender_domains": ["x.org"],
        "allowed_recipient_domains": ["b.com"],
    }
    before = side(strict, lax | {"tls_certificate_name": "mx1"})
    moved = lax | {"tls_certificate_name": "mx1", "remote_ip_ranges": ["10.0.0.5", "10.0.0.6"]}
    after = side(strict | {"remote_ip_ranges": []}, moved)
    widening = the_one(before, after)
    assert (widening.subject, widening.ranges) == ("B", ("10.0.0.5",))
    assert set(widening.gains) == {"require_tls", "allowed_sender_domains", "allowed_recipient_domains"}
    assert widenings(after, before) == ()


def test_settings_of_a_connector_that_takes_no_mail_are_no_gain() -> None:
    shut = RELAY | {"name": "Shut", "permission_groups": [], "permissions": [], "message_rate_limit": 9999}
    assert widenings(side(), side(FRONTEND, shut)) == ()


def test_without_the_relay_right_only_other_domains_are_a_gain() -> None:
    limited = RELAY | {"message_rate_limit": 5, "max_message_size": "1MB"}
    assert widenings(side(FRONTEND, limited), side(FRONTEND)) == ()
    partner = limited | {"allowed_recipient_domains": ["fabrikam.com"]}
    assert the_one(side(FRONTEND, partner), side(FRONTEND)).gains == ("allowed_recipient_domains",)


def test_fewer_other_rights_do_not_make_up_for_laxer_settings() -> None:
    routing = {"principal": "anonymous logon", "rights": ["ms-Exch-Accept-Headers-Routing"], "deny": True}
    fewer = RELAY | {"name": "Relay2", "permissions": [ANONYMOUS_RELAY, routing], "message_rate_limit": 900}
    assert the_one(side(), side(FRONTEND, fewer)).gains == ("message_rate_limit",)


# --- ranges that expire ----------------------------------------------------------------------------------------


def until(year: int | None, text: str = "10.20.0.7") -> dict[str, Any]:
    return {"range": text} | ({"expires_at": f"{year}-01-01T00:00:00Z"} if year else {})


def relay_until(year: int | None) -> Side:
    return side(FRONTEND, RELAY | {"remote_ip_ranges": [until(year)]})


@pytest.mark.parametrize("longer", [2028, None])
def test_a_relay_range_that_lasts_longer_widens(longer: int | None) -> None:
    widening = the_one(relay_until(2027), relay_until(longer))
    assert (widening.kind, widening.subject, widening.ranges) == (
        "clients",
        "Anonymous Relay",
        ("10.20.0.7",),
    )
    assert widening.gains == ("ms-Exch-SMTP-Accept-Any-Recipient",)
    assert "where 'Default Frontend' would have, once a range expires" in widening.detail
    assert widenings(relay_until(longer), relay_until(2027)) == ()


def test_a_range_that_lasts_longer_gives_service_where_nobody_else_would() -> None:
    brief, long = (side(RELAY | {"remote_ip_ranges": [until(year)]}) for year in (2027, 2028))
    assert "where nobody would have" in the_one(brief, long).detail
    assert widenings(long, brief) == ()


def test_a_hole_that_ends_earlier_widens() -> None:
    holed = [
        side(FRONTEND, RELAY, FRONTEND | {"name": "Hole", "remote_ip_ranges": [until(year)]})
        for year in (2027, 2028)
    ]
    assert widenings(*holed) == ()
    assert the_one(*reversed(holed)).ranges == ("10.20.0.7",)


def test_a_temporary_range_that_is_new_is_told_once() -> None:
    widening = the_one(side(FRONTEND), relay_until(2027))
    assert "come to 'Anonymous Relay'" in widening.detail


def test_a_longer_range_under_one_that_stays_gives_nothing() -> None:
    lasting = [
        side(FRONTEND, RELAY | {"remote_ip_ranges": ["10.20.0.0/24", until(year)]}) for year in (2027, 2028)
    ]
    assert widenings(*lasting) == ()


def test_the_old_clock_does_not_bring_an_expired_range_back() -> None:
    ended = 1798761600.0  # 2027-01-01
    old = [FRONTEND, RELAY | {"remote_ip_ranges": [until(2027)]}]
    new = [FRONTEND, RELAY | {"remote_ip_ranges": [until(2028)]}]
    assert the_one(side(*old, now=ended - 60), side(*new, now=ended + 60)).ranges == ("10.20.0.7",)


DAYS = st.sampled_from([None, 16, 17, 18])


@st.composite
def expiring(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Nested ranges that end on some days, before and after small edits.

    The n-th connector holds addresses below a limit that shrinks, so that no two clash.
    """
    sides: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([FRONTEND], [FRONTEND])
    top = 12
    for at in range(draw(st.integers(1, 3))):
        top = draw(st.integers(1, top))
        text = f"192.0.2.1-192.0.2.{top + 4 - at}"
        kind = KINDS[draw(st.sampled_from(["plain", "relay", "no submit"]))]
        for listed in sides:
            if draw(st.integers(0, 4)):
                edited = kind if draw(st.integers(0, 4)) else KINDS["plain"]
                held = {"remote_ip_ranges": [_ending(text, draw(DAYS))]}
                listed.append(RELAY | {"name": f"c{at}"} | held | edited)
    return sides


def _ending(text: str, day: int | None) -> dict[str, str]:
    return {"range": text} | ({"expires_at": f"2023-11-{day}T00:00:00Z"} if day else {})


@settings(max_examples=80, deadline=None)
@given(expiring())
def test_rights_gained_at_any_time_are_told_exactly(
    made_: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    before, after = (made(listed) for listed in made_)
    told = [
        w for w in widenings(before, after) if w.kind == "clients" and any("ms-Exch" in g for g in w.gains)
    ]
    listed = {text for widening in told for text in widening.ranges}
    moments = [NOW, *(1700006400.0 + day * 86400 for day in range(5))]
    gaining = {
        last
        for moment in moments
        for last in range(1, 18)
        if _power_at(after, last, moment) - _power_at(before, last, moment)
    }
    assert {last for last in range(1, 18) if any(_holds(text, last) for text in listed)} == gaining


def _power_at(found: Side, last: int, moment: float) -> set[tuple[str, ...]]:
    return power(policy_of(found), f"192.0.2.{last}", "0.0.0.0:25", moment)


# --- the rest of the document ----------------------------------------------------------------------------------


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
