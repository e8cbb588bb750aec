"""A plan in words, made from real plans of the policy."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from gatepost.cli import reports
from gatepost.cli.exits import Exit
from gatepost.cli.planning import verdict
from gatepost.documents import load_document
from gatepost.policy.analysis.plan import plan
from gatepost.policy.analysis.sides import Side
from gatepost.policy.model.bundle import Server
from tests.support.control_plane import DOCUMENT

SERVERS = (Server("mx1"), Server("mx2"))
TESTED = (
    DOCUMENT
    + """
tests:
  - {name: listed printer relays, server: mx1, remote: 192.168.5.10, mail_from: chris@contoso.com,
     rcpt_to: kate@fabrikam.com, expect: "250 2.1.5"}
  - {name: "<anyone> else", server: mx1, remote: 192.168.5.99, mail_from: chris@contoso.com,
     rcpt_to: kate@fabrikam.com, expect: "250 2.1.5"}
"""
)
ELSEWHERE = TESTED.replace("server: mx1", "server: mx-fra")
WIDE = DOCUMENT.replace("10.20.0.0/24", "10.0.0.0/8")


def planned(old: str, new: str) -> dict[str, Any]:
    sides = [Side(load_document(text), SERVERS, now=0) for text in (old, new)]
    return plan(sides[0], sides[1], now=0).model_dump(mode="json")


def shown(found: dict[str, Any]) -> str:
    return reports.text(found).plain


def titles(found: dict[str, Any]) -> list[str]:
    return [section.title for section in reports.sections(found)]


def test_no_change_is_said_in_two_words() -> None:
    same = planned(DOCUMENT, DOCUMENT)
    assert reports.headline(same) == "No changes."
    assert verdict(same) is Exit.DONE


def test_what_goes_away_is_named_before_what_comes() -> None:
    renamed = planned(DOCUMENT, DOCUMENT.replace("name: Smart host", "name: Other"))
    changes = next(section for section in reports.sections(renamed) if section.title == "Changes")
    assert changes.lines == ("- send_connectors/Smart host removed", "+ send_connectors/Other added")


def test_a_range_that_is_added_widens_and_shows_in_exposure() -> None:
    found = planned(DOCUMENT, DOCUMENT.replace("192.168.5.11,", "192.168.5.11, 192.168.5.12,"))
    text = shown(found)
    assert "    + range 192.168.5.12" in text
    told = "Anonymous Relay: clients that come to 'Anonymous Relay' from 'Default Frontend' gain rights"
    assert f"{told}: ms-Exch-SMTP-Accept-Any-Recipient [192.168.5.12] on mx1, mx2" in text
    assert "mx1, mx2: 258 IPv4 addresses -> 259 IPv4 addresses; + 192.168.5.12" in text
    assert text.endswith("1 changed; 1 widening(s); 2 server(s) get it; tests: 0 passed, 0 failed.")


def test_what_only_narrows_says_so() -> None:
    found = planned(DOCUMENT, DOCUMENT.replace("192.168.5.11, ", ""))
    assert "Widens" not in titles(found)
    assert "nothing widens" in reports.headline(found)


def test_a_wide_relay_is_held_up_first_of_all() -> None:
    found = planned(DOCUMENT, WIDE)
    assert titles(found)[0] == "Holds a publish up"
    assert verdict(found) is Exit.REFUSED


def test_a_finding_that_may_be_taken_on_does_not_hold_up_who_takes_it_on() -> None:
    found = planned(DOCUMENT, WIDE)
    ids = tuple(finding["id"] for finding in found["holding"] if finding["acknowledgeable"])
    assert ids
    assert verdict(found, ids) is Exit.DONE
    open_relay = planned(DOCUMENT, DOCUMENT.replace("10.20.0.0/24", "0.0.0.0/1, 128.0.0.0/1"))
    assert verdict(open_relay, tuple(finding["id"] for finding in open_relay["holding"])) is Exit.REFUSED


def test_a_failed_test_is_10_and_told_with_what_came() -> None:
    found = planned(DOCUMENT, TESTED)
    assert verdict(found) is Exit.INVALID
    assert "'<anyone> else' expects '250 2.1.5' and got '550 5.7.1" in shown(found)
    assert "1 passed, 1 failed" in reports.headline(found)


def test_junit_holds_each_test_once() -> None:
    root = ET.fromstring(reports.junit(planned(DOCUMENT, TESTED)))
    suite = root[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    cases = {case.get("name"): case for case in suite}
    assert list(cases["listed printer relays"]) == []
    failure = cases["<anyone> else"][0]
    assert failure.tag == "failure"
    assert "expects '250 2.1.5', got '550 5.7.1" in str(failure.get("message"))


def idle(found: dict[str, Any], text: str) -> list[reports.NotRun]:
    return reports.not_run(found, load_document(text).model_dump(mode="json"))


def test_a_test_of_a_server_that_is_not_there_is_skipped_in_junit() -> None:
    found = planned(DOCUMENT, ELSEWHERE)
    suite = ET.fromstring(reports.junit(found, idle(found, ELSEWHERE)))[0]
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["2", "0", "2"]
    assert [case.get("classname") for case in suite] == ["mx-fra", "mx-fra"]
    assert [case[0].tag for case in suite] == ["skipped", "skipped"]
    assert suite[0][0].get("message") == "mx-fra is not enrolled"


def test_a_test_that_ran_is_not_called_skipped() -> None:
    found = planned(DOCUMENT, TESTED)
    assert idle(found, TESTED) == []
    assert "not run" not in reports.headline(found, [])


def test_a_test_of_a_server_that_cannot_be_compiled_is_skipped_for_that() -> None:
    broken = TESTED.replace("0.0.0.0:25", "{internal}:25")
    found = planned(DOCUMENT, broken)
    assert [test.why for test in idle(found, broken)] == ["mx1 cannot be compiled"] * 2


def test_the_summary_counts_tests_that_did_not_run() -> None:
    found = planned(DOCUMENT, ELSEWHERE)
    told = "tests: 0 passed, 0 failed, 2 not run."
    assert reports.text(found, idle(found, ELSEWHERE)).plain.endswith(told)
    assert told in reports.markdown(found, idle(found, ELSEWHERE))
    same = planned(ELSEWHERE, ELSEWHERE)
    assert reports.headline(same, idle(same, ELSEWHERE)) == "No changes; tests: 2 not run."


def test_markdown_keeps_names_from_being_markup() -> None:
    text = reports.markdown(planned(DOCUMENT, TESTED))
    assert text.startswith("## Gatepost plan\n")
    assert "### ⚠ Holds a publish up" in text
    assert r"\<anyone\> else" in text
    assert "\n- + tests/listed printer relays added" in text


@pytest.mark.parametrize("text", ["\x1b[2J", "\n### forged"])
def test_nothing_foreign_steers_a_report(text: str) -> None:
    found = planned(DOCUMENT, TESTED)
    for finding in found["findings"] + found["holding"]:
        finding["detail"] = text
    assert text not in shown(found) + reports.markdown(found)


def test_a_long_list_of_ranges_is_cut() -> None:
    many = ", ".join(f"10.77.{number}.1" for number in range(40))
    found = planned(DOCUMENT, DOCUMENT.replace("10.20.0.0/24", f"10.20.0.0/24, {many}"))
    assert "(and 20 more)" in shown(found)


def test_a_long_list_in_a_setting_is_cut() -> None:
    noted = ", ".join(f"{{range: 10.77.{number}.1, note: printer}}" for number in range(25))
    found = planned(DOCUMENT, DOCUMENT.replace("10.20.0.0/24", noted))
    [line] = [line for line in shown(found).splitlines() if "remote_ip_ranges: - -> " in line]
    assert line.endswith("range=10.77.19.1, note=printer and 5 more")
