"""Rows as people read them."""

from typing import Any

import pytest

from gatepost_agent.local.printing import denied_lines, message_line, nothing, trusted_lines, url_lines


def test_who_is_denied_is_a_line_each() -> None:
    entry = {"range": "10.0.0.1", "effect": "no_service", "source": "deny", "reason": "floods\x1b[2J"}
    assert list(denied_lines({"denied": [entry]})) == [
        r"denied         10.0.0.1 (no_service, deny) floods\x1b[2J"
    ]
    assert list(denied_lines({"denied": []})) == ["denied         nobody"]


def test_a_key_is_waited_for_and_urls_are_listed() -> None:
    assert list(trusted_lines({"expected": "sha256:00"})) == [
        "sha256:00 is trusted as soon as the control plane shows that key"
    ]
    urls = {"urls": ["https://a.contoso.com", "https://b.contoso.com"]}
    assert list(url_lines(urls)) == [
        "url            https://a.contoso.com",
        "url            https://b.contoso.com",
    ]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, ""),
        ({"next_hop": "a:25"}, "  a:25"),
        ({"next_hop": "a:25", "last_reply": "451 no"}, "  a:25: 451 no"),
        ({"next_hop": "a:25", "resting": {"a:25": "refused\x1b"}}, r"  a:25  (rests: a:25, refused\x1b)"),
    ],
)
def test_a_message_says_where_it_may_go_and_why_it_waits(given: dict[str, Any], told: str) -> None:
    row = {
        "id": 7, "standing": "queued", "age_s": 1, "size": 2, "client": "10.0.0.1", "from": "", "to": ["b@c"],
        "attempts": 0, "next_hop": "", "last_reply": "", "resting": {},
    }  # fmt: skip
    assert message_line(row | given) == f"7  queued  1 s  2 bytes  10.0.0.1  <> -> b@c  attempts 0{told}"


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({}, "nothing waits"),
        ({"ids": [], "client": "", "from": "", "all": True, "dry_run": True}, "nothing waits"),
        ({"kept": True}, "nothing is kept"),
        ({"ids": [7]}, "no message matches"),
        ({"kept": True, "older": "2h"}, "no message matches"),
    ],
)
def test_where_no_message_was_meant_it_is_said_why(chosen: dict[str, Any], told: str) -> None:
    assert nothing(chosen) == told
