"""The mail log: bounded, private, and what `trace` reads."""

import re
import stat
from pathlib import Path

import pytest

from gatepost_agent.mail_log import MailLog, concerns, entries

ATTEMPT = {
    "event": "delivery_attempt",
    "queue_id": 7,
    "message_id": "<abc@mx1>",
    "client": "192.168.5.10",
    "mail_from": "Chris@contoso.com",
    "rcpt_to": "kate@fabrikam.com",
}


def test_lines_come_back_oldest_first_over_full_files(tmp_path: Path) -> None:
    log = MailLog(tmp_path, max_file_bytes=100, kept_files=3)
    for number in range(10):
        log.write({"number": number, "padding": "x" * 40})
        log.flush()
    log.close()
    numbers = [entry["number"] for entry in entries(tmp_path)]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 9
    assert len(list((tmp_path / "log").iterdir())) <= 4
    assert 0 not in numbers  # bounded


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    log = MailLog(tmp_path)
    log.write({})
    log.close()
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "log" / "mail.jsonl").stat().st_mode) == 0o600


def test_a_line_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    log = MailLog(tmp_path)
    log.write({"number": 1})
    log.close()
    with (tmp_path / "log" / "mail.jsonl").open("a", encoding="utf-8") as file:
        file.write('[]\n{"numb')
    assert [entry["number"] for entry in entries(tmp_path)] == [1]


def test_whatever_an_event_holds_is_a_line(tmp_path: Path) -> None:
    log = MailLog(tmp_path)
    log.write({"exception": "half a character: \ud83d", "path": tmp_path})
    log.write({"exception": "grün\nund rot"})
    log.close()
    first, second = entries(tmp_path)
    assert (first["exception"], first["path"]) == ("half a character: \ud83d", str(tmp_path))
    assert second["exception"] == "grün\nund rot"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", second["at"])


@pytest.mark.parametrize(
    ("wanted", "is_about"),
    [
        ({"id": "7"}, True),
        ({"id": "<abc@mx1>"}, True),
        ({"id": "ABC@mx1"}, True),
        ({"id": "8"}, False),
        ({"from": "chris@contoso.com"}, True),
        ({"to": "KATE@fabrikam.com"}, True),
        ({"to": "<kate@fabrikam.com>"}, True),
        ({"to": "@fabrikam.com"}, True),
        ({"to": "@rikam.com"}, False),
        ({"from": "<>"}, False),
        ({"client": "192.168.5.0/24"}, True),
        ({"to": "chris@contoso.com"}, False),
        ({"client": "192.168.5.10"}, True),
        ({"client": "192.168.5.1"}, False),
        ({"client": "192.168.5.10", "to": "kim@fabrikam.com"}, False),
        ({"id": "", "client": "192.168.5.10"}, True),
    ],
)
def test_what_an_entry_is_about(wanted: dict[str, str], *, is_about: bool) -> None:
    assert concerns(ATTEMPT, wanted) is is_about


@pytest.mark.parametrize(("sender", "is_from_nobody"), [("", True), (None, False), ("a@b.c", False)])
def test_the_null_sender_is_told_apart_from_none_yet(sender: str | None, *, is_from_nobody: bool) -> None:
    assert concerns({"event": "smtp_refused", "mail_from": sender}, {"from": "<>"}) is is_from_nobody


def test_several_recipients_in_one_entry() -> None:
    accepted = ATTEMPT | {"rcpt_to": ["kate@fabrikam.com", "kim@fabrikam.com"]}
    assert concerns(accepted, {"to": "kim@fabrikam.com"})


def test_every_event_has_its_time(tmp_path: Path) -> None:
    log = MailLog(tmp_path)
    log.write({"event": "smtp_accepted"})
    log.close()
    [entry] = entries(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["at"])


@pytest.mark.parametrize(
    "said",
    [
        "RCPT TO:<Kate@fabrikam.com>",
        "rcpt to: <kate@fabrikam.com>",
        "RCPT TO:kate@fabrikam.com",
        "RCPT TO:kate@fabrikam.com NOTIFY=NEVER",
        "RCPT TO:<kate@fabrikam.com>NOTIFY==",
        "RCPT TO :<kate@fabrikam.com",
        "RCPT TO:<@a.com,@b.com:kate@fabrikam.com>",
    ],
)
def test_a_refused_line_is_found_by_the_address_in_it(said: str) -> None:
    refused = {"event": "smtp_refused", "client": "192.168.5.99", "said": said}
    assert concerns(refused, {"to": "kate@fabrikam.com"})
    assert not concerns(refused, {"to": "ate@fabrikam.com"})
    assert not concerns(refused, {"from": "kate@fabrikam.com"})
