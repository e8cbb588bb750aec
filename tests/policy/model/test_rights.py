"""Rights, principals and groups, against an oracle written from the reference's table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.model import rights
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.rights import Ace, PermissionGroup, Right, deciding, effective, group_aces

# Reference section 4.1, written out by hand: (group, principal) -> rights without their prefix.
_TABLE = {
    ("AnonymousUsers", r"NT AUTHORITY\ANONYMOUS LOGON"): (
        "Accept-Headers-Routing SMTP-Accept-Any-Sender SMTP-Accept-Authoritative-Domain-Sender SMTP-Submit"
    ),
    ("ExchangeUsers", r"NT AUTHORITY\Authenticated Users"): (
        "Accept-Headers-Routing Bypass-Anti-Spam SMTP-Accept-Any-Recipient SMTP-Submit"
    ),
    ("ExchangeServers", r"MS Exchange\Externally Secured Servers"): (
        "Accept-Headers-Routing Bypass-Anti-Spam Bypass-Message-Size-Limit SMTP-Accept-Any-Recipient "
        "SMTP-Accept-Any-Sender SMTP-Accept-Authentication-Flag SMTP-Accept-Authoritative-Domain-Sender "
        "SMTP-Accept-Exch50 SMTP-Submit"
    ),
    ("Partners", r"MS Exchange\Partner Servers"): "Accept-Headers-Routing SMTP-Submit",
}


@pytest.mark.parametrize(("group", "principal"), _TABLE)
def test_a_group_grants_exactly_what_the_reference_lists(group: str, principal: str) -> None:
    granted = [ace for ace in group_aces([rights.parse_group(group)]) if ace.principal == principal]
    assert sorted(ace.right for ace in granted) == sorted(
        f"ms-Exch-{r}" for r in _TABLE[group, principal].split()
    )
    assert all(ace.source == f"group:{group}" and not ace.deny and not ace.inherited for ace in granted)


def test_exchange_servers_keep_the_forest_headers_that_externally_secured_ones_lose() -> None:
    aces = group_aces([PermissionGroup.EXCHANGE_SERVERS])
    lost = effective(aces, [rights.HUB_SERVERS]) - effective(aces, [rights.EXTERNALLY_SECURED])
    assert lost == {Right.HEADERS_FOREST, Right.HEADERS_ORGANIZATION}


_ACES = st.builds(
    Ace,
    principal=st.sampled_from([rights.ANONYMOUS, "user:app"]),
    right=st.sampled_from([Right.SUBMIT, Right.ANY_RECIPIENT]),
    deny=st.booleans(),
    inherited=st.booleans(),
    source=st.just("explicit"),
)


def _oracle(aces: list[Ace], principal: str, right: Right) -> bool:
    mine = [ace for ace in aces if ace.principal == principal and ace.right == right]
    for deny, inherited in ((True, False), (False, False), (True, True), (False, True)):
        if any(ace.deny is deny and ace.inherited is inherited for ace in mine):
            return not deny
    return False


@given(st.lists(_ACES, max_size=8))
def test_deny_and_inheritance_decide_in_the_canonical_order(aces: list[Ace]) -> None:
    for principal in (rights.ANONYMOUS, "user:app"):
        held = effective(aces, [principal])
        for right in (Right.SUBMIT, Right.ANY_RECIPIENT):
            assert (right in held) == _oracle(aces, principal, right)
            assert (right in deciding(aces, [principal])) == any(
                ace.principal == principal and ace.right == right for ace in aces
            )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("S-1-5-7", rights.ANONYMOUS),
        (r"nt authority\anonymous logon", rights.ANONYMOUS),
        ("Anonymous Logon", rights.ANONYMOUS),
        ("s-1-5-11", rights.AUTHENTICATED_USERS),
        (r"ms exchange\externally secured servers", rights.EXTERNALLY_SECURED),
        (r"CONTOSO\Exchange Servers", rights.EXCHANGE_SERVERS),
        ("User:Scanner1", "user:scanner1"),
    ],
)
def test_principals_by_name_and_sid_in_any_case(text: str, expected: str) -> None:
    assert rights.parse_principal(text) == expected


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    for parse, text in (
        (rights.parse_right, "ms-Exch-SMTP-Everything"),
        (rights.parse_principal, r"CONTOSO\Printers"),
        (rights.parse_principal, "user:"),
        (rights.parse_principal, "User: "),
        (rights.parse_principal, "user:" + "a" * 65),
        (rights.parse_group, "Everyone"),
        (rights.parse_group, "Custom"),
    ):
        with pytest.raises(BadValue) as caught:
            parse(text)
        assert "Use one of" in caught.value.remedy


def test_rights_are_read_in_any_case() -> None:
    assert rights.parse_right("Ms-Exch-SMTP-Accept-Any-Recipient") is Right.ANY_RECIPIENT
    assert rights.parse_right("ms-exch-accept-exch50") is Right.EXCH50
