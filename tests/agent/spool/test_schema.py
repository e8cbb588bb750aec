"""Upgrade, and going back, with mail in the queue: what format 1 wrote is run, and what is written runs there too.

`format_1.sql` is frozen, and so is what is said here about the release that wrote it: nothing of it comes from the
code under test. When the format changes, a file and a reader of the new one are added beside these; those of a format
go when `RUNS_WITH` has left it behind by more than one release.
"""

import json
from pathlib import Path
from typing import Any

import apsw
import pytest

from gatepost_agent.spool import schema
from gatepost_agent.spool.errors import VersionRefused
from gatepost_agent.spool.messages import Outcome, Result, SpoolLimits
from gatepost_agent.spool.spool import Spool
from tests.agent.spool.samples import body_of, kept, opened, outcome, queued, read, receive, run

FIXTURE = Path(__file__).parent / "format_1.sql"
LIMITS = SpoolLimits(inline_max=2000)
RELAY = "Anonymous Relay"
RECEIVED_AT = 1_790_000_000.0
NOW = RECEIVED_AT + 200  # when all that the fixture holds is due

COLUMNS = (
    "id, standing, next_attempt, attempts, keep_until, expires_at, recipients, held, received_at, size, crc32, "
    "body_at, about"
)
# What format 1 inserts and asks for: its own words, not those of the release under test.
INSERTS = (
    (
        f"INSERT INTO messages({COLUMNS}) VALUES (900, 'queued', 0.0, 0, NULL, 4e9, "
        """'[["kate@fabrikam.com","pending","","",0]]', 0, 1.0, 5, 907060870, NULL, """
        """'{"message_id":"<9@x>","kind":"relay","origin":null,"envelope":{"connector":"Anonymous Relay",'"""
        """ || '"principal":"p","client":"192.168.5.10","helo":"h","mail_from":"","eight_bit":false,'"""
        """ || '"smtp_utf8":false,"bounce_to":null}}')"""
    ),
    "INSERT INTO bodies VALUES (900, CAST('hello' AS BLOB))",
    "INSERT INTO imported VALUES ('there:1', 900)",
    "INSERT INTO counts VALUES ('Anonymous Relay', 'accepted', 1) ON CONFLICT DO UPDATE SET total = total + 1",
)


def written_by_format_1(folder: Path, received_at: float = RECEIVED_AT) -> None:
    """A spool's folder as that release left it, `received_at` seconds after 1970."""
    connection = apsw.Connection(str(folder / "spool.db"))
    connection.execute(FIXTURE.read_text(encoding="ascii")).fetchall()
    lines = [str(row[0]) for row in connection.execute("SELECT line FROM file_6 ORDER BY rowid")]
    connection.execute("DROP TABLE file_6")
    for column in ("received_at", "next_attempt", "expires_at", "keep_until"):
        connection.execute(f"UPDATE messages SET {column} = {column} + ?", (received_at - RECEIVED_AT,))
    connection.close()
    (folder / "bodies").mkdir()
    (folder / "bodies" / "6").write_bytes("".join(line + "\n" for line in lines).encode("ascii"))


def at_rest(folder: Path) -> apsw.Connection:
    return apsw.Connection(str(folder / "spool.db"))


def test_what_format_1_left_is_all_there_and_goes_on(tmp_path: Path) -> None:
    written_by_format_1(tmp_path)

    async def story() -> None:
        async with opened(tmp_path, LIMITS, clock=lambda: NOW) as spool:
            assert (await spool.check(), spool.status().problems) == ([], ())
            waiting = await queued(spool)
            assert {number: m.pending for number, m in waiting.items()} == {
                1: ("kate@fabrikam.com",),
                2: ("bob@litware.com", "eve@example.net"),
                5: ("jörg@fabrikam.com",),
                6: ("kate@fabrikam.com",),
                7: ("kate@fabrikam.com",),
            }
            held = waiting[5]
            assert (held.held, held.envelope.mail_from, held.envelope.bounce_to) == (
                True,
                "",
                "ops@contoso.com",
            )
            assert (held.envelope.eight_bit, held.envelope.smtp_utf8) == (True, True)
            assert (held.envelope.client, held.envelope.helo) == ("2001:db8::5", '"scanér"')
            assert waiting[2].recipients[1].last_reply == "451 4.3.0 later"
            assert waiting[7].origin == "0f0f0f0f0f0f4870a89350450585ea3f:12"
            assert await read(spool, waiting[2]) == b"Subject: two\r\n\r\n.dot\r\n"
            assert await read(spool, waiting[6]) == b"Subject: six\r\n\r\n" + b"0123456789\r\n" * 3
            (failed,) = (await kept(spool)).values()
            assert failed.recipients[0].last_reply == "550 5.1.1 nobody"
            assert spool.counts().store_id == "ed446047c8364870a89350450585ea3f"
            for message in await spool.take(9):
                await spool.settle(message.id, [outcome(to) for to in message.pending])
            assert (await queued(spool)).keys() == {5}
            assert spool.counts().totals[RELAY, "delivered"] == 2 + 5
            assert (await receive(spool, body_of(1))).internal_id > 9  # an id is never given again

    run(story())


def test_a_body_file_of_format_1_comes_back_without_its_database(tmp_path: Path) -> None:
    written_by_format_1(tmp_path)
    (tmp_path / "spool.db").unlink()

    async def story() -> None:
        async with opened(tmp_path, LIMITS) as spool:
            (message,) = (await queued(spool)).values()
            assert (message.message_id, message.pending) == ("<6@relay.contoso.com>", ("kate@fabrikam.com",))
            assert await read(spool, message) == b"Subject: six\r\n\r\n" + b"0123456789\r\n" * 3

    run(story())


def read_as_format_1(connection: apsw.Connection) -> dict[int, dict[str, Any]]:
    """What that release made of the rows, with each field that it could not do without."""
    assert connection.pragma("application_id") == 0x47505351
    assert connection.execute("SELECT value FROM facts WHERE name = 'runs_with'").get <= 1
    found = {}
    for row in connection.execute(f"SELECT {COLUMNS} FROM messages ORDER BY id"):
        about, envelope = json.loads(row[-1]), json.loads(row[-1])["envelope"]
        found[row[0]] = {
            "standing": {"queued": 0, "failed": 1, "expired": 2}[row[1]],
            "recipients": [
                (
                    address,
                    {"pending": 0, "done": 1, "failed": 2, "expired": 3}[status],
                    reply,
                    hop,
                    int(attempts),
                )
                for address, status, reply, hop, attempts in (state[:5] for state in json.loads(row[6]))
            ],
            "times": [float(row[place]) for place in (2, 5, 8)],
            "about": (about["message_id"], {"relay": 0, "bounce": 1}[about["kind"]]),
            "envelope": [
                envelope[name] for name in ("connector", "principal", "client", "helo", "mail_from")
            ],
            "body": row[11] or connection.execute("SELECT body FROM bodies WHERE id = ?", (row[0],)).get,
        }
    return found


@pytest.mark.skipif(schema.RUNS_WITH > 1, reason="this release says that format 1 cannot run what it writes")
def test_format_1_runs_what_is_written_now(tmp_path: Path) -> None:
    written_by_format_1(tmp_path)

    async def upgraded() -> None:
        async with opened(tmp_path, LIMITS, clock=lambda: NOW) as spool:
            await receive(spool, body_of(1))
            await receive(spool, body_of(2, 9000))
            for message in await spool.take(2):
                later = [Outcome(to, Result.NOT_NOW, "451 later", "mx:25") for to in message.pending]
                await spool.settle(message.id, later, NOW + 60)
            await spool.retry([3])

    async def again() -> None:
        async with opened(tmp_path, LIMITS, clock=lambda: NOW) as spool:
            assert (await spool.check(), spool.status().problems) == ([], ())
            assert await read(spool, await spool.get(900)) == b"hello"
            assert (await receive(spool, body_of(1))).internal_id > 900
            assert spool.counts().totals[RELAY, "accepted"] == 6 + 2 + 1 + 1

    run(upgraded())
    old = at_rest(tmp_path)
    rows = read_as_format_1(old)
    assert rows.keys() == {1, 2, 3, 5, 6, 7, 10, 11}
    assert rows[3]["standing"] == 0
    assert [state[1] for state in rows[2]["recipients"]] == [1, 0, 0]
    for statement in INSERTS:
        old.execute(statement)
    old.close()
    run(again())


def test_what_format_1_cannot_run_is_refused_there_by_the_rule_that_it_has(tmp_path: Path) -> None:
    """The rule is format 1's for ever: `runs_with` above 1 must say so in the one place where it looks."""
    run(_closed(tmp_path))
    connection = at_rest(tmp_path)
    assert connection.execute("SELECT value FROM facts WHERE name = 'runs_with'").get == schema.RUNS_WITH
    assert connection.pragma("user_version") == schema.FORMAT >= schema.RUNS_WITH
    connection.execute("UPDATE facts SET value = ? WHERE name = 'runs_with'", (schema.FORMAT + 1,))
    connection.close()
    with pytest.raises(VersionRefused, match=r"install the newer release again, or let it deliver or export"):
        run(Spool.open(tmp_path))


async def _closed(folder: Path) -> None:
    async with opened(folder):
        pass
