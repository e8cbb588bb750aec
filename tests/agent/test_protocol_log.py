"""The protocol log reads like Exchange's, and neither grows nor leaks."""

import csv
import os
from pathlib import Path
from typing import Any

import pytest

from gatepost.policy.dialogue.compiled import Endpoint
from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.rights import Right
from gatepost_agent import protocol_log
from gatepost_agent.protocol_log import ProtocolLog, permission_tokens, tarpit_text

LOCAL = Endpoint(parse_address("10.0.1.5"), 25)
REMOTE = Endpoint(parse_address("fe80::1"), 54368)


def made(folder: Path, now: float = 1_481_660_254.5, **options: Any) -> ProtocolLog:
    return ProtocolLog(folder / "smtp", server="EX01", clock=lambda: now, **options)


def rows(folder: Path) -> list[list[str]]:
    (path,) = (folder / "smtp").iterdir()
    lines = path.read_text().splitlines()
    assert [line.partition(":")[0] for line in lines[:5]] == [
        "#Software",
        "#Version",
        "#Log-type",
        "#Date",
        "#Fields",
    ]
    return list(csv.reader(lines[5:]))


def test_a_session_reads_as_exchange_writes_it(tmp_path: Path) -> None:
    log = made(tmp_path)
    session = log.session("Anonymous Relay", "08D892B7A9441226", LOCAL, REMOTE)
    session.row("+")
    session.row("*", permission_tokens([Right.ANY_RECIPIENT, Right.SUBMIT]), "Set Session Permissions")
    session.said("220 mail.x ready at Tue, 13 Dec 2016")
    session.heard(b"EHLO device")
    session.said("250-mail.x Hello\r\n250 SIZE")
    session.receiving()
    session.row("*", tarpit_text(5.0))
    session.row("-", "", "Local")
    log.write(log.take())
    written = rows(tmp_path)
    assert {tuple(row[:3]) for row in written} == {
        ("2016-12-13T20:17:34.500Z", "EX01\\Anonymous Relay", "08D892B7A9441226")
    }
    assert [row[3] for row in written] == [str(number) for number in range(9)]
    assert {tuple(row[4:6]) for row in written} == {("10.0.1.5:25", "[fe80::1]:54368")}
    assert [row[6:] for row in written] == [
        ["+", "", ""],
        ["*", "SMTPSubmit SMTPAcceptAnyRecipient", "Set Session Permissions"],
        [">", "220 mail.x ready at Tue, 13 Dec 2016", ""],
        ["<", "EHLO device", ""],
        [">", "250-mail.x Hello", ""],
        [">", "250 SIZE", ""],
        ["*", "08D892B7A9441226;2016-12-13T20:17:34.500Z;1", "receiving message"],
        ["*", "Tarpit for '0.00:00:05'", ""],
        ["-", "", "Local"],
    ]


def test_client_text_can_end_no_row(tmp_path: Path) -> None:
    log = made(tmp_path)
    session = log.session('a,"b', "1", LOCAL, REMOTE)
    session.heard(b'x\r\n2016,y\x1b[31m\xff","z')
    log.write(log.take())
    (row,) = rows(tmp_path)
    assert row[1] == 'EX01\\a,"b'
    assert row[7] == 'x\\r\\n2016,y\\x1b[31m\\xff","z'


def test_a_full_file_is_followed_by_another_and_the_oldest_go(tmp_path: Path) -> None:
    log = made(tmp_path, max_file_bytes=2000, max_folder_bytes=5000)
    session = log.session("Relay", "1", LOCAL, REMOTE)
    for _ in range(20):
        for _ in range(10):
            session.heard(b"NOOP")
        log.write(log.take())
    files = sorted((tmp_path / "smtp").iterdir(), key=lambda path: int(path.stem.partition("-")[2]))
    assert len(files) > 1
    assert files[0].name != "RECV20161213-1.LOG"
    assert sum(path.stat().st_size for path in files) < 5000 + 2 * 2000
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_old_files_go(tmp_path: Path) -> None:
    log = made(tmp_path)
    (tmp_path / "smtp").mkdir()
    old = tmp_path / "smtp" / "RECV20161001-1.LOG"
    old.write_text("old")
    os.utime(old, (1.0, 1.0))
    log.session("Relay", "1", LOCAL, REMOTE).row("+")
    log.write(log.take())
    assert not old.exists()


def test_a_new_day_begins_a_new_file(tmp_path: Path) -> None:
    now = [1_481_660_254.5]
    log = ProtocolLog(tmp_path / "smtp", server="EX01", clock=lambda: now[0])
    session = log.session("Relay", "1", LOCAL, REMOTE)
    for _ in range(2):
        session.row("+")
        log.write(log.take())
        now[0] += 86_400
    assert {path.name for path in (tmp_path / "smtp").iterdir()} == {
        "RECV20161213-1.LOG",
        "RECV20161214-1.LOG",
    }


def test_after_a_restart_the_days_file_goes_on(tmp_path: Path) -> None:
    for _ in range(2):
        log = made(tmp_path)
        log.session("Relay", "1", LOCAL, REMOTE).row("+")
        log.write(log.take())
    assert len(rows(tmp_path)) == 2


def test_rows_that_nobody_writes_are_lost_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol_log, "MAX_WAITING", 3)
    log = made(tmp_path)
    session = log.session("Relay", "1", LOCAL, REMOTE)
    for _ in range(5):
        session.row("+")
    assert (len(log.take()), log.lost) == (3, 2)
