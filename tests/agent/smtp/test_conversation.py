"""What the shell makes of a session on the wire. Each test is a trap that others, or trials, fell into."""

import asyncio
import socket
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from gatepost.policy.dialogue.decision import Limit
from gatepost.policy.dialogue.throttle import take
from tests.support.smtp import Client, FakeIncoming, Shell
from tests.support.waiting import eventually

Serve = Callable[..., None]

QUEUED = (
    r"250 2\.6\.0 <[0-9A-F.]+@mx1\.contoso\.com> \[InternalId=\d+, Hostname=mx1\.contoso\.com\] Queued mail"
)
MESSAGE = b"Subject: scan\r\n\r\nhello\r\n"
CLOSED = "221 2.0.0 Service closing transmission channel"


async def data(client: Client, content: bytes) -> str:
    """DATA, the content and the final dot; the reply."""
    assert (await client.say("DATA")).startswith("354 ")
    client.send(content + b".\r\n")
    return await client.reply()


def test_the_articles_transcript(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        assert (await client.reply()).startswith("220 mx1.contoso.com Microsoft ESMTP MAIL Service ready at ")
        assert await client.say("EHLO") == (
            "250-mx1.contoso.com Hello [127.0.0.1]\n250-SIZE 37748736\n250-PIPELINING\n"
            "250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250-CHUNKING\n250 SMTPUTF8"
        )
        assert await client.say("MAIL FROM:chris@contoso.com") == "250 2.1.0 Sender OK"
        assert await client.say("RCPT TO:kate@fabrikam.com") == "250 2.1.5 Recipient OK"
        assert (await data(client, MESSAGE)).startswith("250 2.6.0 <")
        assert await client.say("QUIT") == CLOSED
        assert await client.ended()
        (kept,) = shell.spool.kept
        assert kept.envelope.mail_from == "chris@contoso.com"
        assert kept.envelope.recipients == ("kate@fabrikam.com",)
        assert kept.body.startswith(b"Received: from 127.0.0.1 ") or kept.body.startswith(
            b"Received: from [127"
        )
        assert kept.body.endswith(b"\r\n\r\nhello\r\n")
        assert shell.counted()["sessions"] == 1

    serve(story)


def test_two_messages_and_quit_in_one_segment(serve: Serve) -> None:
    one = b"MAIL FROM:<a@contoso.com>\r\nRCPT TO:<b@fabrikam.com>\r\nDATA\r\n" + MESSAGE + b".\r\n"

    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        client.send(b"EHLO x\r\n" + one + one + b"QUIT\r\n")
        replies = [await client.reply() for _ in range(10)]
        assert [reply[:3] for reply in replies] == [
            "250",
            "250",
            "250",
            "354",
            "250",
            "250",
            "250",
            "354",
            "250",
            "221",
        ]
        assert await client.ended()
        assert len(shell.spool.kept) == 2

    serve(story)


class Fed:
    """How many octets the sessions were given by the system."""

    def __init__(self, shell: Shell) -> None:
        self.octets = 0
        (protocol,) = shell.protocols()
        feed = protocol.given.feed_data

        def count(block: Any) -> None:
            self.octets += len(block)
            feed(block)

        protocol.given.feed_data = count  # type: ignore[method-assign, assignment]

    async def reach(self, octets: int) -> None:
        await eventually(lambda: self.octets >= octets)


def test_the_end_of_data_may_be_cut_anywhere(serve: Serve) -> None:
    content = b"..a\r\n.b\r\n.\r\nNOOP\r\n"

    async def story(shell: Shell) -> None:
        for cut in range(1, len(content)):
            client = await shell.client()
            await client.begin()
            await client.say("DATA")
            fed = Fed(shell)
            client.send(content[:cut])
            await fed.reach(cut)
            client.send(content[cut:])
            assert (await client.reply()).startswith("250 2.6.0")
            assert await client.reply() == "250 2.0.0 OK"
            await client.say("QUIT")
            await shell.hang_up()
        assert len({kept.body.partition(b"\r\n\r\n")[2] for kept in shell.spool.kept}) == 1
        assert len(shell.spool.kept) == len(content) - 1

    serve(story)


def test_a_message_of_nothing_ends_at_its_dot(serve: Serve) -> None:
    """The first line counts as preceded by CRLF."""

    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.begin()
        assert (await data(client, b"")).startswith("250 2.6.0")

    serve(story)


def test_replies_are_sent_before_we_wait_for_input(serve: Serve) -> None:
    """A batch that is held back while a chunk is awaited would hang a pipelining client."""

    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        client.send(b"EHLO x\r\nBDAT 5\r\nab")
        assert (await client.reply()).startswith("250-")
        client.send(b"c\r\nNOOP\r\n")
        assert await client.reply() == "503 5.5.2 Need mail command"
        assert await client.reply() == "250 2.0.0 OK"

    serve(story)


def test_half_a_line_holds_no_reply_back(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        client.send(b"NOOP\r\nNOO")
        assert await client.reply() == "250 2.0.0 OK"
        client.send(b"P\r\n")
        assert await client.reply() == "250 2.0.0 OK"

    serve(story)


def test_chunks_with_dots_and_line_ends_inside(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.begin()
        first, second = b"Subject: x\r\n\r\n.\r\n", b"a\r\n.\r\nb"
        client.send(b"BDAT %d\r\n" % len(first) + first)
        assert await client.reply() == f"250 2.6.0 CHUNK received OK, {len(first)} octets"
        client.send(b"BDAT %d LAST\r\n" % len(second) + second)
        assert (await client.reply()).startswith("250 2.6.0 <")
        assert shell.spool.kept[0].body.endswith(b"\r\n\r\n.\r\na\r\n.\r\nb\r\n")

    serve(story)


def test_chunks_of_a_transaction_that_was_reset_are_forgotten(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.begin()
        client.send(b"BDAT 7\r\nA: b\r\n\r")
        await client.reply()
        await client.say("RSET", "MAIL FROM:<chris@contoso.com>", "RCPT TO:<kate@fabrikam.com>")
        client.send(b"BDAT 6\r\nC: d\r\nBDAT 0 LAST\r\n")
        await client.reply()
        assert (await client.reply()).startswith("250 2.6.0 <")
        assert b"A: b" not in shell.spool.kept[0].body
        assert b"C: d" in shell.spool.kept[0].body

    serve(story)


def test_a_refused_chunks_octets_are_no_commands(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        client.send(b"EHLO x\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
        assert [(await client.reply())[:3] for _ in range(3)] == ["250", "503", "250"]
        assert not shell.spool.kept

    serve(story)


def test_a_login_leaves_no_secret_in_the_protocol_log(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        assert await client.say("EHLO x", "auth login") == "334 VXNlcm5hbWU6"
        assert await client.say("c2VjcmV0LXVzZXI=") == "334 UGFzc3dvcmQ6"
        assert await client.say("c2VjcmV0LXdvcmQ=") == "535 5.7.3 Authentication unsuccessful"
        await client.say("QUIT")
        await shell.hang_up()
        rows = shell.server._protocol_log.take()
        assert any(",auth" in row.lower() or "334" in row for row in rows)
        assert not [row for row in rows if "c2Vj" in row]

    serve(
        story,
        auth_mechanism=["BasicAuth"],
        permission_groups=["ExchangeUsers", "AnonymousUsers"],
        protocol_logging_level="Verbose",
    )


def test_a_tarpit_delays_what_was_batched_before_it(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        client.send(b"EHLO x\r\nMAIL FROM:<a@contoso.com>\r\nFOO\r\n")
        assert [(await client.reply())[:3] for _ in range(3)] == ["250", "250", "500"]
        assert shell.sleeps == [7.0]

    serve(story, tarpit_interval="00:00:07")


def test_a_client_that_leaves_ends_its_tarpit(serve: Serve) -> None:
    async def forever(_: float) -> None:
        await asyncio.Event().wait()

    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        client.send(b"FOO\r\n")
        await eventually(lambda: shell.protocols()[0].conversation._tarpit is not None)  # type: ignore[union-attr]
        client.reset()
        await eventually(lambda: not shell.server.sessions)

    serve(story, tarpit_interval="00:10:00", options={"sleep": forever})


def hasten(shell: Shell, *, idle_s: float = 60, session_s: float = 60) -> None:
    """Time limits below the second that a connector may have."""
    assert shell.current.policy is not None
    door = shell.current.policy.connectors["Relay"]
    door.idle_s, door.session_s = idle_s, session_s  # type: ignore[assignment]


def test_an_idle_client_hears_451(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        hasten(shell, idle_s=0.2)
        client = await shell.client()
        await client.reply()
        assert await client.reply() == "451 4.7.0 Timeout waiting for client input"
        assert await client.ended()

    serve(story)


def test_a_client_that_is_idle_within_data_hears_451_and_nothing_is_kept(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.begin()
        hasten(shell, idle_s=0.2)
        slow = await shell.client()
        await slow.begin()
        await slow.say("DATA")
        slow.send(b"Subject: half\r\n")
        assert await slow.reply() == "451 4.7.0 Timeout waiting for client input"
        assert not shell.spool.kept

    serve(story)


def test_a_session_ends_at_its_time_limit_even_if_it_is_busy(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        hasten(shell, idle_s=0.2, session_s=0.5)
        client = await shell.client()
        reply, replies = await client.reply(), 0
        while not reply.startswith("421"):
            replies += 1
            reply = await client.say("NOOP")
        assert reply == "421 4.4.1 Connection timed out"
        assert replies > 1
        assert await client.ended()

    serve(story)


def test_a_session_that_never_stops_sending_content_ends_at_its_time_limit(serve: Serve) -> None:
    """Input that is never empty is never waited for."""

    async def slow(_: FakeIncoming) -> None:
        await asyncio.sleep(0.01)

    async def story(shell: Shell) -> None:
        hasten(shell, session_s=0.5)
        client = await shell.client()
        await client.begin()
        await client.say("DATA")
        sending = asyncio.ensure_future(_flood(client, b"x" * 200_000))
        await eventually(lambda: not shell.server.sessions)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert shell.counted()["refused 421 4.4.1 Connection timed out"] == 1
        assert not shell.spool.kept

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeIncoming, "drain", slow)
        serve(story)


def test_a_time_limit_that_passes_during_the_commit_comes_after_its_250(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        hasten(shell, session_s=0.3)
        shell.spool.gate.clear()
        client = await shell.client()
        await client.begin()
        await client.say("DATA")
        client.send(MESSAGE + b".\r\n")
        conversation = shell.protocols()[0].conversation
        assert conversation is not None
        await eventually(lambda: conversation._due)
        shell.spool.gate.set()
        assert (await client.reply()).startswith("250 2.6.0")
        assert await client.reply() == "421 4.4.1 Connection timed out"

    serve(story)


def test_a_half_close_after_the_dot_is_answered(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.begin()
        await client.say("DATA")
        client.send(MESSAGE + b".\r\n")
        client.writer.write_eof()
        assert (await client.reply()).startswith("250 2.6.0")
        assert await client.ended()

    serve(story)


def test_a_half_close_before_the_dot_keeps_nothing(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.begin()
        await client.say("DATA")
        client.send(MESSAGE)
        client.writer.write_eof()
        assert await client.ended()
        assert not shell.spool.kept

    serve(story)


def test_a_reset_during_the_commit_keeps_the_message_once(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        shell.spool.gate.clear()
        client = await shell.client()
        await client.begin()
        await client.say("DATA")
        client.send(MESSAGE + b".\r\n")
        await eventually(lambda: shell.spool.committing)
        (protocol,) = shell.protocols()
        client.reset()
        await eventually(lambda: protocol.given.lost)
        shell.spool.gate.set()
        await eventually(lambda: not shell.server.sessions)
        assert len(shell.spool.kept) == 1
        assert shell.server.devices()[0].accepted == 1

    serve(story)


def test_a_reset_within_data_keeps_nothing(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.begin()
        await client.say("DATA")
        client.send(MESSAGE)
        client.reset()
        await eventually(lambda: not shell.server.sessions)
        assert not shell.spool.kept

    serve(story)


def test_an_exception_in_a_decision_is_421_with_a_reference(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        (protocol,) = shell.protocols()

        def explode(*_: object) -> None:
            raise RuntimeError("a secret of ours")

        monkeypatch.setattr(protocol._session, "_line", explode)
        reply = await client.say("NOOP")
        assert reply.startswith("421 4.3.0 Temporary server error, reference ")
        assert await client.ended()
        logged = caplog.text
        assert reply.rpartition(" ")[2] in logged
        assert "a secret of ours" in logged
        assert shell.counted()["refused 421 4.3.0"] == 1

    serve(story)


def test_a_spool_that_cannot_even_be_asked_is_421(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(shell: Shell) -> None:
        def explode(_: int = 0) -> None:
            raise RuntimeError("no spool")

        monkeypatch.setattr(shell.spool, "room", explode)
        client = await shell.client()
        assert (await client.reply()).startswith("421 4.3.0 Temporary server error, reference ")
        assert await client.ended()
        await shell.hang_up()
        assert shell.server._host.sessions.total == 0

    serve(story)


def test_an_exception_in_the_spool_is_421_and_the_next_session_is_served(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        shell.spool.error = ValueError("internal")
        client = await shell.client()
        await client.begin()
        assert (await data(client, MESSAGE)).startswith("421 4.3.0 Temporary server error, reference ")
        assert await client.ended()
        shell.spool.error = None
        client = await shell.client()
        await client.begin()
        assert (await data(client, MESSAGE)).startswith("250 2.6.0")

    serve(story)


@pytest.mark.parametrize(
    ("why", "reply"),
    [
        ("full", "452 4.3.1 Insufficient system resources"),
        ("trouble", "451 4.3.0 Message could not be stored, try again later"),
    ],
)
@pytest.mark.parametrize("size", [100, 300_000])
def test_a_message_that_cannot_be_stored_is_4xx_and_the_session_goes_on(
    serve: Serve, why: str, reply: str, size: int
) -> None:
    async def story(shell: Shell) -> None:
        shell.spool.fails = why
        client = await shell.client()
        await client.begin()
        assert await data(client, MESSAGE + b"x" * size + b"\r\n") == reply
        shell.spool.fails = None
        await client.say("MAIL FROM:<chris@contoso.com>", "RCPT TO:<kate@fabrikam.com>")
        assert (await data(client, MESSAGE)).startswith("250 2.6.0")

    serve(story)


def test_without_room_452_comes_before_data_is_taken(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        shell.spool.has_room = "full"
        client = await shell.client()
        await client.reply()
        assert (
            await client.say("EHLO x", "MAIL FROM:<a@contoso.com>")
            == "452 4.3.1 Insufficient system resources"
        )
        shell.spool.has_room = "ok"
        assert await client.say("MAIL FROM:<a@contoso.com>") == "250 2.1.0 Sender OK"

    serve(story)


def test_an_overlong_line_costs_no_memory_and_the_next_one_counts(serve: Serve) -> None:
    block = b"x" * 65536

    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        tracemalloc.start()
        for _ in range(400):
            client.send(block)
            await client.writer.drain()
        assert (await client.say("")).startswith("500 5.3.3 Line too long")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2 * 1024 * 1024  # the client's own buffers among it
        assert await client.say("NOOP") == "250 2.0.0 OK"

    serve(story)


@pytest.mark.parametrize("block", [b"y" * 76 + b"\r\n", b"\r\n", b"no line end ever"])
def test_a_large_message_is_streamed_in_bounded_memory(serve: Serve, block: bytes) -> None:
    many = block * (65536 // len(block))

    async def story(shell: Shell) -> None:
        shell.spool.keeps_bodies = False
        client = await shell.client()
        await client.begin()
        await client.say("DATA")
        client.send(MESSAGE)
        tracemalloc.start()
        for _ in range(20 * 16):
            client.send(many)
            await client.writer.drain()
        client.send(b"\r\n.\r\n")
        assert (await client.reply()).startswith("250 2.6.0")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert shell.spool.written > 19 * 1024 * 1024
        assert peak < 1024 * 1024  # the client's own buffers among it: half of it is the session's

    serve(story)


@pytest.mark.parametrize("block", [b"y" * 76 + b"\r\n", b"\r\n", b".\n", b"no line end ever"])
def test_large_messages_hold_nobody_else_up(serve: Serve, block: bytes) -> None:
    many = block * (65536 // len(block))
    turns: list[float] = []

    async def watch() -> None:
        while True:
            begun = (
                time.thread_time()
            )  # what the loop works between two looks, whatever else the machine does
            await asyncio.sleep(0)
            turns.append(time.thread_time() - begun)

    async def send(shell: Shell) -> None:
        client = await shell.client()
        await client.begin()
        await client.say("DATA")
        client.send(MESSAGE)
        for _ in range(3 * 16):
            client.send(many)
            await client.writer.drain()
        client.send(b"\r\n.\r\n")
        assert (await client.reply()).startswith("250 2.6.0")

    async def story(shell: Shell) -> None:
        shell.spool.keeps_bodies = False
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch(), name="watch")
            async with asyncio.TaskGroup() as senders:
                for _ in range(4):
                    senders.create_task(send(shell), name="sender")
            watching.cancel()
        assert shell.spool.written > 11 * 1024 * 1024
        assert max(turns) < 0.1

    serve(story)


def test_content_octet_by_octet_is_gathered_before_it_is_kept(serve: Serve) -> None:
    writes: list[int] = []
    write = FakeIncoming.write

    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.begin()
        await client.say("DATA")
        (protocol,) = shell.protocols()
        for octet in b"Subject: x\r\n\r\n" + b"z" * 70_000:
            protocol.given.feed_data(bytes((octet,)))
            if not octet % 1000:
                await asyncio.sleep(0)
        client.send(b"\r\n.\r\n")
        assert (await client.reply()).startswith("250 2.6.0")
        assert len(writes) < 5

    def count(incoming: FakeIncoming, block: bytes) -> None:
        writes.append(len(block))
        write(incoming, block)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeIncoming, "write", count)
        serve(story)


def test_a_client_that_reads_no_reply_is_cut_off_at_its_time_limit(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        hasten(shell, idle_s=0.5)
        client = await shell.client()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await eventually(shell.protocols)
        (protocol,) = shell.protocols()
        lines = b"HELP\r\n" * 10_000
        sending = asyncio.ensure_future(_flood(client, lines))
        await eventually(lambda: protocol.conversation._is_sending)  # type: ignore[union-attr]
        assert len(protocol.conversation._out) < 100_000  # type: ignore[union-attr]
        await eventually(lambda: not shell.server.sessions)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    serve(story)


async def _flood(client: Client, lines: bytes) -> None:
    while True:
        client.send(lines)
        await client.writer.drain()


def test_a_header_that_is_too_large_is_refused_while_the_client_still_sends(serve: Serve) -> None:
    """Closing on unread octets would reset the connection, and the reply with it."""

    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.begin()
        await client.say("DATA")
        client.send(b"X-Long: y\r\n" * 30_000)
        assert await client.reply() == "552 5.3.4 Header size exceeds fixed maximum size"
        assert await client.ended()
        assert not shell.spool.kept

    serve(story)


def test_nobodys_client_hears_554_and_is_counted(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        assert await client.reply() == "554 5.7.1 No service for this address"
        assert await client.ended()
        assert shell.counted("") == {"sessions": 1, "refused 554 5.7.1 No service for this address": 1}

    serve(story, remote_ip_ranges=["10.0.0.0/8"])


def test_refusals_are_counted_by_what_was_said(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        await client.say("EHLO x", "MAIL FROM:<a@contoso.com>", "RCPT TO:<kate@fabrikam.com>", "RSET")
        await client.say("MAIL FROM:<a@fabrikam.com>")
        await client.say("QUIT")
        await shell.hang_up()
        wanted = {
            "550 5.7.1 Unable to relay": 1,
            "550 5.7.1 Anonymous client does not have permissions to send as this sender": 1,
        }
        counted = {f"refused {kind}": number for kind, number in wanted.items()}
        assert {kind: n for kind, n in shell.counted().items() if kind.startswith("refused")} == counted
        (row,) = shell.server.devices()
        assert row.refused == wanted

    serve(
        story,
        permission_groups=[],
        permissions=[
            {
                "principal": "NT AUTHORITY\\ANONYMOUS LOGON",
                "rights": [
                    "ms-Exch-SMTP-Submit",
                    "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender",
                ],
            }
        ],
    )


def test_the_self_test_is_greeted_and_counted_nowhere(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as probe:
            probe.setblocking(False)
            probe.bind(("127.0.0.1", 0))
            shell.current.probes.add(probe.getsockname())
            await loop.sock_connect(probe, ("127.0.0.1", shell.port))
            assert (await loop.sock_recv(probe, 100)).startswith(b"220 ")
        await eventually(lambda: not shell.server.sessions)
        assert shell.counted() == {}
        assert shell.server.devices() == ()
        assert (await (await shell.client()).reply()).startswith("220 ")  # the one a minute that is let in

    serve(story, connection_rate_limit=1, options={"arrivals_per_minute": 1})


def test_places_are_given_back_on_every_exit(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        first = await shell.client()
        await first.reply()
        for _ in range(3):
            second = await shell.client()
            assert (await second.reply()).startswith("421 4.3.2 The maximum number of concurrent server conn")
            assert await second.ended()
        await first.say("QUIT")
        await shell.hang_up()
        third = await shell.client()
        assert (await third.reply()).startswith("220 ")
        assert shell.counted()["refused 421 4.3.2"] == 3

    serve(story, max_inbound_connection_per_source=1)


def test_rates_are_booked_for_the_next_session_too(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        for expected in (
            "250 2.1.0 Sender OK",
            "421 4.4.2 Message submission rate for this client has exceeded",
        ):
            client = await shell.client()
            await client.reply()
            assert (await client.say("EHLO x", "MAIL FROM:<a@contoso.com>")).startswith(expected)
        state = shell.server._host.rates.get(Limit.MESSAGES, "Relay", "127.0.0.1")
        assert state == take(None, 1000.0, 1).state

    serve(story, message_rate_limit=1, options={"clock": lambda: 1000.0})


def test_tolerances_are_counted_for_each_device(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client("127.0.0.9")
        await client.reply()
        client.send(b"EHLO\nQUIT\n")
        await client.reply()
        assert await client.reply() == CLOSED
        (row,) = shell.server.devices()
        assert row.address == "127.0.0.9"
        assert row.tolerances["bare_lf_line"] == 2
        assert shell.counted()["tolerated bare_lf_line"] == 2

    serve(story)


def test_a_name_that_grows_when_it_is_shown_fits_a_report(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        client.send(("EHLO " + "\N{PRINTER}" * 255 + "\r\nQUIT\r\n").encode())
        assert (await client.reply()).startswith("250")
        assert await client.reply() == CLOSED
        assert await client.reply() == ""
        (row,) = shell.server.devices()
        assert row.helo.startswith("\\U0001f5a8\\U0001f5a8")
        assert len(row.helo) == 255

    serve(story)
