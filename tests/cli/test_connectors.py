"""Connectors, their listings as in the article, and ranges one at a time, against the real draft."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.client import ApiProblem
from gatepost_api.auth import Role
from tests.cli.conftest import RELAY, Gatepost, Plane
from tests.support.control_plane import DOCUMENT

ANONYMOUS = r"NT AUTHORITY\ANONYMOUS LOGON"


@pytest.fixture(autouse=True)
def applied(gatepost: Gatepost, fleet_file: Callable[[str], Path]) -> None:
    assert gatepost("apply", "-f", fleet_file(DOCUMENT)).code == 0


def ranges(gatepost: Gatepost) -> list[object]:
    listed: list[object] = gatepost("connector", "show", RELAY, "-o", "json").json["remote_ip_ranges"]
    return listed


def test_the_articles_first_listing(gatepost: Gatepost) -> None:
    ran = gatepost("connector", "show", RELAY)
    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines()] == [
        ["Enabled", ":", "yes"],
        ["TransportRole", ":", "FrontendTransport"],
        ["Bindings", ":", "{0.0.0.0:25}"],
        ["RemoteIPRanges", ":", "{192.168.5.10,", "192.168.5.11,", "10.20.0.0/24}"],
    ]


def test_the_articles_second_listing(gatepost: Gatepost) -> None:
    ran = gatepost("permissions", RELAY, "--user", ANONYMOUS)
    assert ran.code == 0
    rows = [line.split() for line in ran.out.splitlines()]
    assert rows[0][:2] == ["User", "ExtendedRights"]
    rights = {row[3]: row for row in rows[2:] if row}
    assert rights["ms-Exch-SMTP-Accept-Any-Recipient"][:3] == ["NT", r"AUTHORITY\ANONYMOUS", "LOGON"]
    assert "explicit" in rights["ms-Exch-SMTP-Accept-Any-Recipient"]
    assert "group:AnonymousUsers" in rights["ms-Exch-SMTP-Submit"]
    assert {
        row["user"] for row in gatepost("permissions", RELAY, "--user", ANONYMOUS, "-o", "json").json
    } == {ANONYMOUS}


def test_a_right_is_denied_and_the_entry_taken_away(gatepost: Gatepost) -> None:
    right = "ms-Exch-SMTP-Accept-Any-Recipient"
    words = [RELAY, "--user", ANONYMOUS, "--right", right, "--deny"]
    ran = gatepost("permission", "add", *words, "-o", "json")
    assert ran.code == 0, ran
    assert [row["deny"] for row in ran.json if row["right"] == right] == [False, True]
    assert "explicit" in gatepost("permissions", RELAY).out
    assert gatepost("permission", "remove", *words).code == 0
    listed = gatepost("permissions", RELAY, "--user", ANONYMOUS, "-o", "json").json
    assert [row["deny"] for row in listed if row["right"] == right] == [False]
    assert gatepost("permission", "add", RELAY, "--user", "x", "--right", "fly").code == 10


def test_connectors_are_listed(gatepost: Gatepost) -> None:
    ran = gatepost("connectors")
    assert ran.code == 0
    assert RELAY in ran.out
    assert gatepost("connectors", "list").out == ran.out


def test_a_name_in_another_case_is_the_same_connector(gatepost: Gatepost) -> None:
    assert gatepost("connector", "show", RELAY.upper()).code == 0


def test_a_connector_that_is_not_there_is_10(gatepost: Gatepost) -> None:
    ran = gatepost("connector", "show", "Nobody", "-o", "json")
    assert (ran.code, ran.json["error"]["type"]) == (10, "not-found")
    assert "'Nobody'" in ran.err


def test_a_range_is_added_with_note_and_end_and_taken_off_again(gatepost: Gatepost) -> None:
    before = ranges(gatepost)
    ran = gatepost("range", "add", RELAY, "192.168.5.12", "--note", "scanner", "--expires-at", "2099-01-01")
    assert ran.code == 0
    assert "192.168.5.12 (scanner, until 2099-01-01T00:00:00Z)" in ran.out
    assert "publish" in ran.err
    entry = {"range": "192.168.5.12", "note": "scanner", "expires_at": "2099-01-01T00:00:00Z"}
    assert ranges(gatepost) == [*before, entry]
    assert gatepost("range", "remove", RELAY, "192.168.5.12").code == 0
    assert ranges(gatepost) == before


def test_adding_a_range_twice_lists_it_once(gatepost: Gatepost) -> None:
    before = ranges(gatepost)
    for _ in range(2):
        assert gatepost("range", "add", RELAY, "192.168.5.12").code == 0
    assert ranges(gatepost) == [*before, "192.168.5.12"]


LENT = {"range": "10.7.7.7", "note": "test host", "expires_at": "2099-01-01T00:00:00Z"}


def lend(gatepost: Gatepost) -> None:
    """Let 10.7.7.7 in for a while, and another after it."""
    words = ["--note", LENT["note"], "--expires-at", LENT["expires_at"]]
    assert gatepost("range", "add", RELAY, LENT["range"], *words).code == 0
    assert gatepost("range", "add", RELAY, "10.7.7.8").code == 0


@pytest.mark.parametrize(
    ("words", "changed", "told"),
    [
        ([], {}, "; its note and its end (2099-01-01T00:00:00Z) are kept."),
        (["--note", "printer"], {"note": "printer"}, "; its end (2099-01-01T00:00:00Z) is kept."),
        (["--expires-at", "2098-01-01"], {"expires_at": "2098-01-01T00:00:00Z"}, "; its note is kept."),
        (["--note", "printer", "--no-expiry"], {"note": "printer", "expires_at": None}, "."),
        (["--no-note"], {"note": None}, "; its end (2099-01-01T00:00:00Z) is kept."),
    ],
)
def test_a_range_that_is_listed_already_keeps_what_is_not_given(
    gatepost: Gatepost, words: list[str], changed: dict[str, str | None], told: str
) -> None:
    lend(gatepost)
    ran = gatepost("range", "add", RELAY, "10.7.7.7/32", *words)
    assert ran.code == 0, ran
    assert f"10.7.7.7/32 was listed already{told}\n" in ran.err
    kept = {name: value for name, value in (LENT | changed).items() if value}
    assert ranges(gatepost)[-2:] == [kept, "10.7.7.8"]


def test_a_range_without_note_and_end_is_its_text_again(gatepost: Gatepost) -> None:
    lend(gatepost)
    assert gatepost("range", "add", RELAY, "10.7.7.7", "--no-note", "--no-expiry").code == 0
    assert ranges(gatepost)[-2:] == ["10.7.7.7", "10.7.7.8"]


def test_a_new_range_is_not_called_listed(gatepost: Gatepost) -> None:
    assert "listed already" not in gatepost("range", "add", RELAY, "10.7.7.7").err


@pytest.mark.parametrize("words", [["--note", "x", "--no-note"], ["--expires-in", "7d", "--no-expiry"]])
def test_nothing_is_given_and_cleared_at_once(gatepost: Gatepost, words: list[str]) -> None:
    assert gatepost("range", "add", RELAY, "10.7.7.7", *words).code == 64


def test_a_range_is_found_however_it_is_written(gatepost: Gatepost) -> None:
    assert gatepost("range", "remove", RELAY, "10.20.0.0-10.20.0.255").code == 0
    assert "10.20.0.0/24" not in ranges(gatepost)


def test_ranges_are_replaced_and_what_stays_keeps_its_note(gatepost: Gatepost) -> None:
    gatepost("range", "add", RELAY, "192.168.5.12", "--note", "scanner")
    assert gatepost("range", "replace", RELAY, "192.168.5.10", "192.168.5.12").code == 0
    assert ranges(gatepost) == ["192.168.5.10", {"range": "192.168.5.12", "note": "scanner"}]


@pytest.mark.parametrize(
    "words",
    [
        ["range", "add", RELAY, "300.1.1.1"],
        ["range", "add", RELAY, "::ffff:10.0.0.1"],
        ["range", "remove", RELAY, "192.168.5.77"],
        ["range", "add", "Nobody", "192.168.5.77"],
    ],
    ids=lambda words: words[-1],
)
def test_what_cannot_be_done_is_10_and_changes_nothing(gatepost: Gatepost, words: list[str]) -> None:
    before = ranges(gatepost)
    ran = gatepost(*words, "-o", "json")
    assert (ran.code, ran.json["exit_code"]) == (10, 10)
    assert ranges(gatepost) == before


def test_a_viewer_may_not_add(gatepost: Gatepost) -> None:
    assert gatepost("range", "add", RELAY, "192.168.5.12", role=Role.viewer).code == 13


def test_two_who_add_at_once_both_get_in(plane: Plane) -> None:
    """The second writer's tag is stale by then; it reads again instead of losing either."""
    with plane.client() as first, plane.client() as second:
        raced: list[str] = []

        def amended(body: dict[str, object]) -> dict[str, object]:
            if not raced:
                raced.append("once")
                second.connectors.add_range(RELAY, "192.168.5.13")
            listed = body["remote_ip_ranges"]
            assert isinstance(listed, list)
            return {"remote_ip_ranges": [*listed, "192.168.5.12"]}

        found = first.connectors.amend(RELAY, amended).body["remote_ip_ranges"]
        assert found[-2:] == ["192.168.5.13", "192.168.5.12"]


def test_a_tag_that_is_given_is_held_to(plane: Plane) -> None:
    with plane.client() as client:
        stale = client.connectors.get(RELAY).etag
        client.connectors.change(RELAY, {"comment": "one"}, etag=stale)
        with pytest.raises(ApiProblem) as problem:
            client.connectors.change(RELAY, {"comment": "two"}, etag=stale)
        assert problem.value.status == 412


@pytest.mark.parametrize("method", ["anonymous", "externally_secured"])
def test_anonymous_relay_is_set_up_by_either_method(gatepost: Gatepost, method: str) -> None:
    ran = gatepost("anonymous-relay", RELAY, "--method", method, "-o", "json")
    assert ran.code == 0
    secured = "ExternalAuthoritative" in ran.json.get("auth_mechanism", [])
    assert secured is (method == "externally_secured")


def test_blocks_come_and_go(gatepost: Gatepost) -> None:
    assert "Nothing is blocked" in gatepost("blocked").err
    assert gatepost("block", "192.168.5.0/28").code == 0  # in a hurry, without a reason
    assert gatepost("unblock", "192.168.5.0/28").code == 0
    ran = gatepost("block", "192.168.5.66", "--reason", "sends what it should not", "-o", "json")
    assert (ran.code, ran.json["range"]) == (0, "192.168.5.66")
    assert "sends what it should not" in gatepost("blocked").out
    assert gatepost("unblock", "192.168.5.66/32", "--reason", "cleaned up").code == 0
    assert gatepost("blocked", "-o", "json").json == []
    again = gatepost("unblock", "192.168.5.66", "-o", "json")
    assert (again.code, again.json["error"]["type"]) == (10, "not-found")
    assert "cleaned up" in gatepost("audit").out


def test_an_unblock_names_the_block_that_still_covers(gatepost: Gatepost) -> None:
    for blocked in ("127.0.60.33", "127.0.60.0/24", "127.0.61.0/24"):
        assert gatepost("block", blocked).code == 0
    ran = gatepost("unblock", "127.0.60.33", "-o", "json")
    assert (ran.code, ran.json["range"]) == (0, "127.0.60.33")
    assert ran.err == "The block of 127.0.60.33 is lifted; 127.0.60.0/24 still blocks it.\n"
    assert gatepost("unblock", "127.0.60.0/24").err == "127.0.60.0/24 is no longer blocked.\n"


def test_an_address_that_is_blocked_by_a_network_only_is_told_so(gatepost: Gatepost) -> None:
    gatepost("block", "127.0.60.0/24")
    covered, free = gatepost("unblock", "127.0.60.33"), gatepost("unblock", "127.0.61.33")
    assert (covered.code, free.code) == (10, 10)
    assert "'127.0.60.33' is not blocked by itself: 127.0.60.0/24 blocks it." in covered.err
    assert "'127.0.61.33' is not blocked." in free.err


def test_after_a_restored_backup_an_admin_says_what_is_blocked(gatepost: Gatepost, plane: Plane) -> None:
    agent = plane.enroll("mx1")
    agent.denied_version = 1_000
    plane.do(agent.checkin())
    refused = gatepost("block", "192.168.5.66", "-o", "json")
    assert (refused.code, refused.json["error"]["type"]) == (12, "denied-set-held")
    assert "overwrite-blocked" in refused.json["error"]["detail"]
    ran = gatepost("overwrite-blocked", "192.168.5.66", "10.9.0.0/16", "--reason", "from mx1", "-o", "json")
    assert (ran.code, [row["range"] for row in ran.json["blocks"]]) == (0, ["192.168.5.66", "10.9.0.0/16"])
    assert gatepost("unblock", "192.168.5.66").code == 0


def test_explain_shows_the_dialogue_and_why(gatepost: Gatepost, plane: Plane) -> None:
    plane.enroll("mx1")
    gatepost("publish")
    asked = [
        "explain",
        "--server",
        "mx1",
        "--mail-from",
        "chris@contoso.com",
        "--rcpt-to",
        "kate@fabrikam.com",
    ]
    listed = gatepost(*asked, "--remote", "192.168.5.10")
    assert listed.code == 0, listed
    assert "> RCPT TO:<kate@fabrikam.com>" in listed.out
    assert "< 250 2.1.5" in listed.out
    assert "Anonymous Relay" in listed.out
    stranger = gatepost(*asked, "--remote", "192.168.5.99", "-o", "json")
    assert (stranger.code, stranger.json["verdict"], stranger.json["connector"]) == (
        0,
        "refused",
        "Default Frontend",
    )
    assert stranger.json["reply"].startswith("550 5.7.1")


def test_explain_takes_raw_lines_and_the_draft(gatepost: Gatepost, plane: Plane) -> None:
    plane.enroll("mx1")
    gatepost("publish")
    gatepost("range", "add", RELAY, "192.168.5.99")
    asked = [
        "explain",
        "--server",
        "mx1",
        "--remote",
        "192.168.5.99",
        "--line",
        "EHLO x",
        "--line",
        "MAIL FROM:<>",
    ]
    asked += ["--line", "RCPT TO:<kate@fabrikam.com>", "-o", "json"]
    assert gatepost(*asked).json["verdict"] == "refused"
    assert gatepost(*asked, "--draft").json["verdict"] == "accepted"


def test_a_default_connector_is_made_for_a_server_that_has_none_there(
    gatepost: Gatepost, plane: Plane
) -> None:
    plane.enroll("mx1")
    taken = gatepost("connector", "default", "mx1", "-o", "json")
    assert (taken.code, taken.json["error"]["type"]) == (12, "conflict")
    made = gatepost("connector", "default", "mx1", "--binding", "0.0.0.0:2525", "-o", "json")
    assert (made.code, made.json["bindings"]) == (0, ["0.0.0.0:2525"])
    assert gatepost("connector", "show", "Default Frontend mx1").code == 0
    assert gatepost("connector", "default", "nobody").code == 10


def test_a_default_connector_is_never_made_a_relay(gatepost: Gatepost) -> None:
    ran = gatepost("anonymous-relay", "Default Frontend")
    assert ran.code != 0
    assert "open relay" in ran.err
