"""Which queued messages an operator means."""

import pytest

from gatepost.policy.dialogue.decision import Envelope
from gatepost_agent.errors import UsageRefused
from gatepost_agent.local.selection import age_s, is_hop, selection
from gatepost_agent.spool.messages import QueuedMessage, RecipientState, RecipientStatus

NOW = 10_000.0
MESSAGE = QueuedMessage(
    id=7,
    message_id="<a@b>",
    envelope=Envelope(
        connector="Relay",
        principal="",
        client="192.168.5.10",
        helo="printer",
        mail_from="Chris@contoso.com",
        recipients=("kate@fabrikam.com",),
    ),
    recipients=(RecipientState("kate@fabrikam.com", next_hop="smtp.contoso.com:25"),),
    size=100,
    received_at=NOW - 3600,
    next_attempt=NOW,
    expires_at=NOW + 1,
)


@pytest.mark.parametrize(
    ("arguments", "held"),
    [
        ({}, True),
        ({"ids": [7, 8]}, True),
        ({"ids": [8]}, False),
        ({"client": "192.168.5.0/24"}, True),
        ({"client": "192.168.5.11"}, False),
        ({"from": "chris@contoso.com"}, True),
        ({"from": "@contoso.com"}, True),
        ({"from": "<>"}, False),
        ({"to": "@fabrikam.com"}, True),
        ({"to": "chris@contoso.com"}, False),
        ({"next_hop": "smtp.contoso.com"}, True),
        ({"next_hop": "10.1.1.9"}, False),
        ({"older": "59m"}, True),
        ({"older": "2h"}, False),
        ({"client": "192.168.5.10", "to": "@contoso.com"}, False),
    ],
)
def test_all_that_is_given_must_hold(arguments: dict[str, object], *, held: bool) -> None:
    assert selection(arguments).holds(MESSAGE, NOW) is held


@pytest.mark.parametrize(
    ("hop", "meant", "not_meant"),
    [
        ("10.0.0.1:25", ["10.0.0.1:25", "10.0.0.1"], ["10.0.0.1:2", "0.0.0.1", "10.0.0.1:", "mx:10.0.0.1"]),
        ("10.0.0.10:25", ["10.0.0.10"], ["10.0.0.1", "10.0.0.1:25", "25", ":25"]),
        ("110.0.0.1:25", ["110.0.0.1"], ["10.0.0.1", "10.0.0.1:25"]),
        ("smtp.contoso.com:25", ["SMTP.contoso.com:25"], ["contoso.com", "smtp", "smtp.contoso.com:587"]),
        (
            "[2001:db8::1]:25",
            ["[2001:DB8::1]:25", "[2001:db8::1]", "2001:db8::1"],
            ["2001:db8::1:25", "2001", "db8::1", "[2001:db8::1]:2"],
        ),
        ("mx:fabrikam.com", ["mx:fabrikam.com", "MX:Fabrikam.com", "fabrikam.com"], ["mx", "mx:", "kam.com"]),
        (
            "mx:fabrikam.com:587",
            ["mx:fabrikam.com:587", "fabrikam.com:587", "fabrikam.com", "mx:fabrikam.com"],
            ["fabrikam.com:25", "587"],
        ),
        ("mx:[10.0.0.1]", ["mx:[10.0.0.1]", "[10.0.0.1]", "10.0.0.1"], ["10.0.0.1:25"]),
        ("fabrikam.com:25", ["fabrikam.com"], ["mx:fabrikam.com", "mx:fabrikam.com:25"]),
        ("mx:25", ["mx", "mx:25"], ["25"]),
    ],
)
def test_a_next_hop_is_meant_whole_or_by_its_host(hop: str, meant: list[str], not_meant: list[str]) -> None:
    assert [text for text in meant + not_meant if is_hop(hop, text)] == meant


def test_mail_of_hops_whose_names_hold_another_s_is_not_taken_along() -> None:
    behind = MESSAGE._replace(recipients=(RecipientState("kate@fabrikam.com", next_hop="10.0.0.10:25"),))
    assert not selection({"next_hop": "10.0.0.1"}).holds(behind, NOW)
    assert selection({"next_hop": "10.0.0.10"}).holds(behind, NOW)


def test_nothing_given_is_everything() -> None:
    assert selection({"older": "0"}).is_everything
    assert not selection({"ids": [1]}).is_everything


@pytest.mark.parametrize(
    "arguments", [{"client": "printer"}, {"older": "soon"}, {"ids": ["x"]}, {"client": "10.0.0.0/40"}]
)
def test_nonsense_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(UsageRefused):
        selection(arguments)


def test_ages_have_units() -> None:
    assert [age_s(text) for text in ("90", "90s", "1.5m", "2h", "1D")] == [90, 90, 90, 7200, 86400]


def _unasked(recipient: str) -> QueuedMessage:
    return MESSAGE._replace(recipients=(RecipientState(recipient),))


@pytest.mark.parametrize(("hop", "held"), [("smart.contoso.net", True), ("other.contoso.net", False)])
def test_mail_is_found_by_where_it_may_go(hop: str, held: bool) -> None:
    def hops(recipient: str) -> dict[str, str]:
        known = {"kate@Fabrikam.com": {"smart.contoso.net:25": "", "mx:fabrikam.com": ""}}
        return known.get(recipient, {"other.contoso.net:25": ""})

    chosen = selection({"next_hop": hop})
    assert chosen.holds(_unasked("kate@Fabrikam.com"), NOW, hops) is held
    answered = RecipientState("kate@Fabrikam.com", next_hop="old.contoso.net:25")
    assert chosen.holds(MESSAGE._replace(recipients=(answered,)), NOW, hops) is held, (
        "the route has changed since"
    )
    done = answered._replace(status=RecipientStatus.DONE)
    assert not chosen.holds(MESSAGE._replace(recipients=(done,)), NOW, hops), "it goes nowhere any more"
    assert selection({"next_hop": "old.contoso.net"}).holds(MESSAGE._replace(recipients=(done,)), NOW, hops)
    assert not chosen.holds(_unasked("kate@fabrikam.com"), NOW)
