"""Exposure against the session itself, asked at every address of a small space."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gatepost.policy.analysis.explain import Question, Verdict, explain
from gatepost.policy.analysis.exposure import exposure, raw_union
from gatepost.policy.analysis.ranges import difference, ranges
from gatepost.policy.dialogue.compiled import CannotCompile, Policy
from gatepost.policy.dialogue.denied import Denial, DeniedSet
from gatepost.policy.model.addresses import parse_address, parse_range
from tests.support.policies import ANONYMOUS_RELAY, FRONTEND, NOW, RELAY, RELAY_RIGHT, policy

SECURED = {
    "auth_mechanism": ["ExternalAuthoritative"],
    "permission_groups": ["ExchangeServers"],
    "permissions": [],
}
DENIED_ROW = {"principal": "anonymous logon", "rights": [RELAY_RIGHT], "deny": True}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"permissions": []},
    "relay": {},
    "secured": SECURED,
    "no submit": {"permission_groups": [], "permissions": [ANONYMOUS_RELAY]},
    "denied by a row": {"permissions": [ANONYMOUS_RELAY, DENIED_ROW]},
    "one partner": {"allowed_recipient_domains": ["fabrikam.com"]},
    "our own only": {"allowed_recipient_domains": ["contoso.com"]},
    "users": {"permission_groups": ["ExchangeUsers"], "permissions": []},
}
# Two bindings of v4, one specific; a v6 one. The space is the last hextet or octet, 0 to 31.
BINDINGS = ["0.0.0.0:25", "10.9.9.9:25", "[::]:25", "0.0.0.0:587"]
BASE = {4: "192.0.2.", 6: "2001:db8::"}


@st.composite
def spans(draw: st.DrawFn, version: int) -> str:
    lo = draw(st.integers(1, 31))
    hi = draw(st.integers(lo, 31))
    return f"{BASE[version]}{lo:x}-{BASE[version]}{hi:x}" if version == 6 else f"{BASE[4]}{lo}-{BASE[4]}{hi}"


@st.composite
def connectors(draw: st.DrawFn) -> list[dict[str, Any]]:
    return [
        RELAY
        | {
            "name": f"c{at}",
            "message_rate_limit": "unlimited",
            "bindings": draw(st.lists(st.sampled_from(BINDINGS), min_size=1, max_size=2, unique=True)),
            "remote_ip_ranges": draw(st.lists(spans(4), max_size=2)) + draw(st.lists(spans(6), max_size=1)),
        }
        | KINDS[draw(st.sampled_from(sorted(KINDS)))]
        for at in range(draw(st.integers(1, 4)))
    ]


def compiled(listed: list[dict[str, Any]], **parts: Any) -> Policy:
    try:
        return policy(*listed, **parts)
    except CannotCompile:
        assume(False)
        raise


def may_send(found: Policy, client: str, local: str, domain: str) -> bool:
    question = Question(remote=client, local=local, mail_from="<>", rcpt_to=(f"a@{domain}",))
    return explain(found, question, now=NOW).verdict is Verdict.ACCEPTED


def clients(version: int) -> list[str]:
    return [f"{BASE[version]}{value:x}" if version == 6 else f"{BASE[4]}{value}" for value in range(32)]


@settings(max_examples=60, deadline=None)
@given(connectors(), st.booleans())
def test_exposure_is_what_a_session_answers_at_every_address(
    listed: list[dict[str, Any]], star: bool
) -> None:
    domains = [{"domain": "contoso.com"}, *([{"domain": "*"}] if star else [])]
    found = compiled(listed, accepted_domains=domains)
    exposed = exposure(found)
    for version in (4, 6):
        locals_ = [binding for binding in BINDINGS if ("[" in binding) == (version == 6)]
        for client in clients(version):
            sends = any(
                may_send(found, client, local, d) for local in locals_ for d in ("fabrikam.com", "x.y.z")
            )
            assert exposed.relay.holds(parse_address(client)) == sends, client


@settings(max_examples=40, deadline=None)
@given(connectors())
def test_the_guards_union_holds_all_of_exposure(listed: list[dict[str, Any]]) -> None:
    found = compiled(listed)
    assert difference(exposure(found).relay, raw_union(found, NOW)).empty


def test_a_narrower_connector_without_the_right_carves_a_hole() -> None:
    wide = RELAY | {"remote_ip_ranges": ["10.20.0.0/24"]}
    hole = FRONTEND | {"name": "Hole", "remote_ip_ranges": ["10.20.0.7"]}
    found = policy(FRONTEND, wide, hole)
    assert list(exposure(found).relay.texts()) == [
        "10.20.0.0-10.20.0.6",
        "10.20.0.8-10.20.0.255",
    ]
    assert list(raw_union(found, NOW).texts()) == ["10.20.0.0/24"]


def test_everyone_may_send_to_the_accepted_domains() -> None:
    listed = [{"domain": "contoso.com"}, {"domain": "*.fabrikam.com", "type": "internal_relay"}]
    assert exposure(policy(accepted_domains=listed)).domains == ("contoso.com", "*.fabrikam.com")
    limited = FRONTEND | {"allowed_recipient_domains": ["a.fabrikam.com", "elsewhere.net"]}
    assert exposure(policy(limited, accepted_domains=listed)).domains == ("a.fabrikam.com",)


def test_nobody_is_let_in_without_a_range() -> None:
    assert exposure(policy(FRONTEND | {"remote_ip_ranges": []})) == (ranges([]), ())


def test_what_is_denied_is_taken_out() -> None:
    denied = DeniedSet(
        [Denial("10.20.0.128/25", "no_relay", "rollback"), Denial("192.168.5.10", "no_service", "block")]
    )
    relay = exposure(policy(), denied).relay
    assert list(relay.texts()) == ["10.20.0.0/25", "10.30.0.5-10.30.0.20", "192.168.5.11"]


def test_what_nobody_may_list_may_be_denied() -> None:
    denied = DeniedSet(
        [Denial("::ffff:192.168.5.10", "no_service", "deny"), Denial("2002::/16", "no_service", "block")]
    )
    assert "192.168.5.10" not in list(exposure(policy(), denied).relay.texts())


def test_expired_ranges_expose_nobody() -> None:
    temporary = {"range": "10.1.2.3", "expires_at": "2023-11-14T22:13:21Z"}
    relay = RELAY | {"remote_ip_ranges": [temporary]}
    assert list(exposure(policy(relay, now=NOW)).relay.texts()) == ["10.1.2.3"]
    assert exposure(policy(relay, now=NOW + 1)).relay.empty
    assert list(raw_union(policy(relay), NOW + 1).texts()) == []


def test_a_range_counts_only_where_its_ip_version_is_listened_on() -> None:
    relay = RELAY | {"remote_ip_ranges": ["2001:db8::5", "10.0.0.5"]}
    assert list(exposure(policy(relay)).relay.texts()) == ["10.0.0.5"]
    assert ranges(map(parse_range, ["2001:db8::5", "10.0.0.5"])) == raw_union(policy(relay), NOW)
