"""The SMTP side as a whole: caps, blocks, draining, figures, and the real spool behind it."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from gatepost.policy.dialogue.denied import Denial, DeniedSet
from gatepost_agent.smtp import protocol, server
from gatepost_agent.spool.spool import Spool
from tests.support.smtp import Client, Shell, relay_policy, smtp_shell
from tests.support.waiting import eventually

Serve = Callable[..., None]
Run = Callable[[Any], Any]
MESSAGE = b"Subject: scan\r\n\r\nhello\r\n"
NOT_AVAILABLE = "421 4.3.2 Service not available, closing transmission channel"


async def connected(shell: Shell) -> Client:
    client = await shell.client()
    assert (await client.reply()).startswith("220 ")
    return client


def test_drain_answers_idle_clients_at_once_and_commits_first(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        idle, busy = await connected(shell), await shell.client()
        await busy.begin()
        shell.spool.gate.clear()
        await busy.say("DATA")
        busy.send(MESSAGE + b".\r\n")
        await eventually(lambda: shell.spool.committing)
        draining = asyncio.create_task(shell.server.drain(10))
        assert await idle.reply() == NOT_AVAILABLE
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await shell.client()
        shell.spool.gate.set()
        assert (await busy.reply()).startswith("250 2.6.0")
        assert await busy.reply() == NOT_AVAILABLE
        idle.writer.close()
        busy.writer.close()
        await draining

    serve(story)


def test_who_waits_in_the_queue_when_the_drain_begins_hears_421(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        with socket.create_connection(("127.0.0.1", shell.port), timeout=10) as client:
            await shell.server.drain(10)
            assert (await asyncio.to_thread(client.recv, 100)).decode() == NOT_AVAILABLE + "\r\n"

    serve(story)


def test_drain_lets_content_finish_until_the_deadline(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        quick, slow = await shell.client(), await shell.client()
        for client in (quick, slow):
            await client.begin()
            await client.say("DATA")
            client.send(b"Subject: x\r\n")
        draining = asyncio.create_task(shell.server.drain(0.5))
        quick.send(b"\r\n.\r\n")
        assert (await quick.reply()).startswith("250 2.6.0")
        assert await slow.reply() == NOT_AVAILABLE
        for client in (quick, slow):
            client.writer.close()
        await draining
        assert len(shell.spool.kept) == 1

    serve(story)


def test_drain_ends_tarpits(serve: Serve) -> None:
    async def forever(_: float) -> None:
        await asyncio.Event().wait()

    async def story(shell: Shell) -> None:
        client = await connected(shell)
        client.send(b"FOO\r\n")
        await eventually(lambda: shell.protocols()[0].conversation._tarpit is not None)  # type: ignore[union-attr]
        draining = asyncio.create_task(shell.server.drain(10))
        assert (await client.reply()).startswith("500 ")
        assert await client.reply() == NOT_AVAILABLE
        client.writer.close()
        await draining

    serve(story, tarpit_interval="00:00:05", options={"sleep": forever})


def test_a_client_that_answers_nothing_is_cut_after_the_drain(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "COMMIT_S", 0.1)

    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.begin()
        shell.spool.gate.clear()  # a disk that hangs
        await client.say("DATA")
        client.send(MESSAGE + b".\r\n")
        await eventually(lambda: shell.spool.committing)
        await shell.server.drain(0.1)
        shell.spool.gate.set()

    serve(story)


def test_a_blocked_client_hears_421_at_once_when_idle(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        idle, other = await connected(shell), await shell.client("127.0.0.2")
        await other.reply()
        shell.current.denied = DeniedSet([Denial("127.0.0.1", "no_service", "block")])
        shell.server.follow_denied()
        assert await idle.reply() == NOT_AVAILABLE
        assert await other.say("NOOP") == "250 2.0.0 OK"
        assert (await (await shell.client()).reply()) == "554 5.7.1 No service for this address"

    serve(story)


def test_a_blocked_clients_next_command_is_421_even_unasked(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await connected(shell)
        shell.current.denied = DeniedSet([Denial("127.0.0.1", "no_service", "block")])
        assert await client.say("NOOP") == NOT_AVAILABLE

    serve(story)


def test_rights_that_were_taken_away_end_at_the_next_mail(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.begin()
        shell.current.policy = relay_policy(shell.port, permissions=[])
        await client.say("DATA")
        client.send(MESSAGE + b".\r\n")
        assert (await client.reply()).startswith("250 2.6.0")
        assert await client.say("MAIL FROM:<chris@contoso.com>") == "421 4.3.2 Service not active"

    serve(story)


def test_sessions_are_capped_and_a_fifth_is_kept_for_relay_hosts(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        cap = shell.server._caps.sessions
        strangers = [await shell.client() for _ in range(cap * 4 // 5)]
        assert all([(await client.reply()).startswith("220 ") for client in strangers])
        assert (await (await shell.client()).reply()).startswith("421 4.3.2 The maximum number of concurrent")
        shell.current.policy = relay_policy(shell.port, **open_door)  # its connector relays
        relay_host = await shell.client("127.0.0.3")
        assert (await relay_host.reply()).startswith("220 ")

    open_door: dict[str, Any] = {
        "max_inbound_connection_per_source": "unlimited",
        "max_inbound_connection_percentage_per_source": 100,
    }
    serve(story, permissions=[], options={"open_files": 40}, **open_door)


def test_the_host_takes_so_many_connections_a_minute(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        greetings = [await (await shell.client(f"127.0.0.{number}")).reply() for number in (2, 3, 4)]
        assert [greeting[:9] for greeting in greetings] == ["220 mx1.c", "220 mx1.c", "421 4.3.2"]

    serve(story, options={"arrivals_per_minute": 2})


def test_above_the_cap_clients_wait_in_the_queue_and_are_served_later(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        accepted = shell.server._caps.accepted
        clients = [await shell.client() for _ in range(accepted)]
        for client in clients[: shell.server._caps.sessions]:
            assert (await client.reply()).startswith("220 ")
        await eventually(lambda: shell.server.limited() or shell.server.sessions < accepted)
        late = await shell.client()
        await clients[0].say("QUIT")
        assert (await late.reply())[:3] in ("220", "421")

    serve(
        story,
        options={"open_files": 40},
        max_inbound_connection_per_source="unlimited",
        max_inbound_connection_percentage_per_source=100,
    )


def test_input_above_the_budget_pauses_reading_and_arrives_all_the_same(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        held: list[int] = []
        clients = [await shell.client() for _ in range(5)]
        for client in clients:
            await client.begin()
            await client.say("DATA")
        big = MESSAGE + b"x" * 3_000_000 + b"\r\n.\r\n"
        watch = asyncio.create_task(_watch(shell, held))
        for client in clients:
            client.send(big)
        for client in clients:
            assert (await client.reply()).startswith("250 2.6.0")
        watch.cancel()
        assert max(held) < 5 * 300_000
        assert shell.server._host.budget.held == 0
        assert {len(kept.body) > 3_000_000 for kept in shell.spool.kept} == {True}

    serve(story, options={"input_bytes": 50_000})


async def _watch(shell: Shell, held: list[int]) -> None:
    while True:
        held.append(shell.server._host.budget.held)
        await asyncio.sleep(0)


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "mx1.pem"
    certificate = trustme.CA().issue_cert("mx1.contoso.com")
    path.write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
    return path


def client_context(**versions: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, version in versions.items():
        setattr(context, name, version)
    return context


def test_starttls_starts_over_and_takes_a_message(serve: Serve, pem: Path) -> None:
    async def story(shell: Shell) -> None:
        client = await connected(shell)
        assert "STARTTLS" in await client.say("EHLO x")
        assert await client.say("STARTTLS") == "220 2.0.0 SMTP server ready"
        await client.writer.start_tls(client_context())
        assert await client.say("MAIL FROM:<a@contoso.com>") == "503 5.5.2 Send hello first"
        assert "STARTTLS" not in await client.say("EHLO x")
        await client.say("MAIL FROM:<a@contoso.com>", "RCPT TO:<b@fabrikam.com>", "DATA")
        client.send(MESSAGE + b"x" * 200_000 + b"\r\n.\r\n")
        assert (await client.reply()).startswith("250 2.6.0")
        assert b"version=TLSv1." in shell.spool.kept[0].body
        assert shell.server.devices()[0].tls.startswith("TLSv1.")

    serve(story, tls_certificate_name="mx1.pem", require_tls=True)


def test_a_tls_session_holds_as_little_as_one_in_clear(serve: Serve, pem: Path) -> None:
    async def story(shell: Shell) -> None:
        client = await connected(shell)
        await client.say("EHLO x", "STARTTLS")
        await client.writer.start_tls(client_context())
        await client.say("EHLO x")
        [open_] = shell.server._open.values()
        transport: Any = open_._writer.transport
        assert transport.get_write_buffer_limits()[1] == 32 * 1024
        assert transport.get_read_buffer_limits()[1] == 64 * 1024

    serve(story, tls_certificate_name="mx1.pem")


def test_plain_text_behind_starttls_was_never_said(serve: Serve, pem: Path) -> None:
    async def story(shell: Shell) -> None:
        client = await connected(shell)
        await client.say("EHLO x")
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@contoso.com>\r\n")
        assert (await client.reply()).startswith("220 2.0.0")
        await client.writer.start_tls(client_context())
        assert (await client.say("EHLO y")).startswith("250-mx1")
        assert await client.say("MAIL FROM:<a@contoso.com>") == "250 2.1.0 Sender OK"

    serve(story, tls_certificate_name="mx1.pem")


def test_garbage_instead_of_a_handshake_ends_that_session_alone(serve: Serve, pem: Path) -> None:
    async def story(shell: Shell) -> None:
        client = await connected(shell)
        await client.say("EHLO x", "STARTTLS")
        client.send(b"\x00" * 4000)
        await eventually(lambda: not shell.server.sessions)
        assert shell.counted()["tls_failed"] == 1
        await connected(shell)

    serve(story, tls_certificate_name="mx1.pem")


def test_a_certificate_that_cannot_be_used_is_421_before_the_handshake(serve: Serve, pem: Path) -> None:
    async def story(shell: Shell) -> None:
        pem.unlink()  # noqa: ASYNC240
        client = await connected(shell)
        assert (await client.say("EHLO x", "STARTTLS")).startswith("421 4.3.0 Temporary server error")
        assert "certificate 'mx1.pem' cannot be read" in shell.server.certificates()

    serve(story, tls_certificate_name="mx1.pem")


@pytest.mark.parametrize("how", ["a reset", "a closed socket"])
def test_a_client_that_vanishes_under_tls_is_a_lost_connection_and_no_error_of_ours(
    serve: Serve, pem: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    async def story(shell: Shell) -> None:
        client = await connected(shell)
        await client.say("EHLO x", "STARTTLS")
        await client.writer.start_tls(client_context())
        await client.say("EHLO x")
        if how == "a reset":
            client.reset()
        else:
            client.writer.transport.abort()
        await eventually(lambda: not shell.server.sessions)

    serve(story, tls_certificate_name="mx1.pem")
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(("minimum", "taken"), [("1.2", True), ("1.3", False)])
def test_an_older_tls_than_the_connector_takes_is_refused(
    serve: Serve, pem: Path, minimum: str, taken: bool
) -> None:
    async def story(shell: Shell) -> None:
        client = await connected(shell)
        await client.say("EHLO x", "STARTTLS")
        context = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
        if taken:
            await client.writer.start_tls(context)
            assert (await client.say("EHLO x")).startswith("250-")
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await client.writer.start_tls(context)

    serve(story, tls_certificate_name="mx1.pem", tls_minimum_version=minimum)


@pytest.mark.skipif(not ssl.HAS_TLSv1, reason="this host's OpenSSL has no TLS 1.0")
@pytest.mark.filterwarnings(r"ignore:ssl\.TLSVersion\.TLSv1 is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "ciphers", ["", "DEFAULT", "AES256-SHA:ECDHE-ECDSA-AES256-SHA", "DEFAULT:@SECLEVEL=0"]
)
def test_an_old_printer_gets_tls_1_0_where_the_connector_takes_it(
    serve: Serve, pem: Path, ciphers: str
) -> None:
    old = client_context(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1)
    old.set_ciphers("DEFAULT@SECLEVEL=0")

    async def story(shell: Shell) -> None:
        client = await connected(shell)
        await client.say("EHLO x", "STARTTLS")
        await client.writer.start_tls(old)
        assert (await client.say("EHLO x")).startswith("250-")
        assert shell.server.devices()[0].tls == "TLSv1"

    serve(story, tls_certificate_name="mx1.pem", tls_minimum_version="1.0", tls_ciphers=ciphers)


def test_a_client_that_closes_before_our_last_words_does_not_hold_the_session(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_FLUSH_S", 0.1)

    async def story(shell: Shell) -> None:
        client = await connected(shell)
        client.send(b"QUIT\r\n")
        client.reset()
        await eventually(lambda: not shell.server.sessions)

    serve(story)


def test_a_message_goes_into_the_real_spool(
    run: Run, tmp_path: Path, free_port: Callable[[str], int]
) -> None:
    async def story() -> None:
        spool = await Spool.open(tmp_path / "spool")
        try:
            async with smtp_shell(tmp_path, free_port("0.0.0.0"), spool=spool) as shell:
                for size in (10, 500_000):
                    client = await shell.client()
                    await client.begin()
                    await client.say("DATA")
                    client.send(MESSAGE + b"\xe9" * size + b"\r\n.\r\n")
                    assert (await client.reply()).startswith("250 2.6.0")
            small, large = sorted(await spool.take(10), key=lambda message: message.size)
            assert small.envelope.eight_bit
            assert large.envelope.eight_bit
            assert b"".join([block async for block in spool.body(large)]).endswith(
                b"\xe9" * 500_000 + b"\r\n"
            )
            assert spool.counts().totals["Relay", "accepted"] == 2
        finally:
            await spool.close()

    run(story())
