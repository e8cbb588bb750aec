"""Delivery on the real spool: what was committed leaves, what fails comes back as a bounce, a restart goes on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gatepost.policy.dialogue.decision import Envelope
from gatepost.policy.dialogue.domains import AcceptedDomains
from gatepost.policy.model.document import AcceptedDomain
from gatepost_agent.delivery import pace
from gatepost_agent.delivery.pool import Pool
from gatepost_agent.delivery.routing import make_routing
from gatepost_agent.delivery.scheduler import Delivery
from gatepost_agent.delivery.targets import Finder
from gatepost_agent.spool.spool import Spool
from tests.agent.delivery.conftest import Run
from tests.agent.delivery.resolver import FakeResolver
from tests.agent.delivery.samples import BODY, NO_SECRETS, send_connector
from tests.support.smart_host import SmartHost
from tests.support.waiting import eventually

OURS = AcceptedDomains([AcceptedDomain(domain="contoso.com")])
UTF8_HEADER = "Subject: Prüfbericht\r\n\r\nhello\r\n".encode()
UTF8_BODY = "Subject: scan\r\n\r\nPrüfbericht\r\n".encode()
LARGE = BODY + b"".join(b"%06d" % n + b"x" * 60 + b"\r\n" for n in range(20_000))


async def store(spool: Spool, body: bytes, *recipients: str, utf8: bool = False) -> int:
    envelope = Envelope(
        "Relay",
        "anonymous",
        "192.0.2.7",
        "printer",
        "scanner@contoso.com",
        recipients,
        eight_bit=utf8,
        smtp_utf8=utf8,
    )
    incoming = spool.begin(envelope)
    for start in range(0, len(body), 50_000):
        incoming.write(body[start : start + 50_000])
        await incoming.drain()
    return (await incoming.commit("<1@contoso.com>")).internal_id


@asynccontextmanager
async def delivering(folder: Path, host: SmartHost) -> AsyncIterator[Spool]:
    spool = await Spool.open(folder, clock=time.time)
    pool = Pool(Finder(FakeResolver()), clock=asyncio.get_running_loop().time)
    connector = send_connector(smart_hosts=[f"127.0.0.1:{host.port}"])
    routing = make_routing([connector], accepted=OURS, fqdn="mx1.contoso.com", secrets=NO_SECRETS)
    delivery = Delivery(spool, pool, routing, clock=time.time)
    stopping = asyncio.Event()
    task = asyncio.create_task(delivery.run(stopping))
    try:
        yield spool
    finally:
        stopping.set()
        await task
        await spool.close()


def test_small_and_large_mail_leaves_as_it_came(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        async with SmartHost() as host, delivering(tmp_path / "spool", host) as spool:
            await store(spool, BODY, "kate@fabrikam.com")
            await store(spool, LARGE, "lee@fabrikam.com")
            await eventually(lambda: spool.status().queued == 0)
            got = {received.recipients[0]: received.data for received in host.messages}
            assert got == {"kate@fabrikam.com": BODY, "lee@fabrikam.com": LARGE}

    run(scene())


def test_a_bounce_is_queued_and_delivered_and_the_failed_message_kept(run: Run, tmp_path: Path) -> None:
    def unknown(line: bytes) -> str | None:
        return "550 5.1.1 no such user" if b"kate" in line else None

    async def scene() -> None:
        async with (
            SmartHost(answers={"RCPT": unknown}) as host,
            delivering(tmp_path / "spool", host) as spool,
        ):
            await store(spool, BODY, "kate@fabrikam.com", "lee@fabrikam.com")
            await eventually(lambda: len(host.messages) == 2)
            bounce = next(m for m in host.messages if m.mail == "")
            assert bounce.recipients == ["scanner@contoso.com"]
            assert b"550 5.1.1 no such user" in bounce.data
            await eventually(lambda: spool.status().queued == 0)
            assert spool.status().kept == 1

    run(scene())


def test_what_could_not_leave_leaves_after_a_restart(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        async with SmartHost(answers={"CONNECT": "421 4.3.2 busy"}) as host:
            async with delivering(tmp_path / "spool", host) as spool:
                queue_id = await store(spool, BODY, "kate@fabrikam.com")
                await eventually(lambda: host.connections)
            host.answers.clear()
            async with delivering(tmp_path / "spool", host) as spool:
                assert "busy" in (await spool.get(queue_id)).recipients[0].last_reply
                await spool.retry([queue_id])
                await eventually(lambda: len(host.messages) == 1)
                await eventually(lambda: spool.status().queued == 0)

    run(scene())


def test_a_retry_does_not_wait_for_a_next_hop_that_rests(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "FIRST_REST_S", 300.0)

    async def scene() -> None:
        async with (
            SmartHost(answers={"CONNECT": "421 4.3.2 busy"}) as host,
            delivering(tmp_path / "spool", host) as spool,
        ):

            def all_wait() -> bool:
                return not spool._core.taken and (spool._core.schedule.next_due() or 0.0) > time.time()

            queue_id = await store(spool, BODY, "kate@fabrikam.com")
            await eventually(lambda: host.connections)
            await eventually(all_wait)
            host.answers.clear()
            assert await spool.retry([queue_id]) == 1
            await eventually(lambda: len(host.messages) == 1)

    run(scene())


@pytest.mark.parametrize("extensions", [("8BITMIME",), ("PIPELINING", "8BITMIME")])
def test_a_u_label_domain_is_delivered_to_a_hop_without_smtputf8(
    run: Run, tmp_path: Path, extensions: tuple[str, ...]
) -> None:
    async def scene() -> None:
        async with (
            SmartHost(extensions=extensions) as host,
            delivering(tmp_path / "spool", host) as spool,
        ):
            await store(spool, UTF8_BODY, "kate@bücher.example", "käthe@bücher.example", utf8=True)
            await eventually(lambda: len(host.messages) == 2 and spool.status().queued == 0)
            [taken] = [one for one in host.messages if one.mail]  # the other one is the bounce
            assert (taken.recipients, taken.data) == (["kate@xn--bcher-kva.example"], UTF8_BODY)
            [kept] = [one async for one in spool.messages(kept=True)]
            assert {one.address for one in kept.recipients if "SMTPUTF8" in one.last_reply} == {
                "käthe@bücher.example"
            }

    run(scene())


@pytest.mark.parametrize(("offered", "arrives"), [(("SMTPUTF8",), True), ((), False)])
def test_a_header_in_utf8_needs_a_hop_with_smtputf8(
    run: Run, tmp_path: Path, offered: tuple[str, ...], arrives: bool
) -> None:
    async def scene() -> None:
        async with (
            SmartHost(extensions=("8BITMIME", *offered)) as host,
            delivering(tmp_path / "spool", host) as spool,
        ):
            await store(spool, UTF8_HEADER, "kate@bücher.example", utf8=True)
            await eventually(lambda: len(host.messages) == 1 and spool.status().queued == 0)
            assert (host.messages[0].data == UTF8_HEADER) is arrives
            kept = [one async for one in spool.messages(kept=True)]
            assert ["the message's header holds UTF-8" in one.recipients[0].last_reply for one in kept] == (
                [] if arrives else [True]
            )

    run(scene())
