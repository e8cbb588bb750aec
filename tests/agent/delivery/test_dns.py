"""The resolver against a DNS server of ours: records, no records, no domain, silence, and kept answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rrset
import pytest

from gatepost_agent.delivery import dns as module
from gatepost_agent.delivery.dns import MxHost, SystemResolver
from gatepost_agent.delivery.errors import HopFailed, NoSuchDomain
from tests.agent.delivery.conftest import Run

ZONE = {
    ("fabrikam.com.", "MX"): ["10 a.fabrikam.com.", "20 b.fabrikam.com."],
    ("nomail.org.", "MX"): ["0 ."],
    ("a.fabrikam.com.", "A"): ["192.0.2.1"],
    ("a.fabrikam.com.", "AAAA"): ["2001:db8::1"],
    ("half.org.", "A"): ["192.0.2.2"],
    ("other-half.org.", "AAAA"): ["2001:db8::2"],
    ("odd.org.", "A"): ["192.0.2.3"],
}
KNOWN = {name for name, _ in ZONE} | {"empty.org.", "mute.org."}
BROKEN = {("half.org.", "AAAA"), ("other-half.org.", "A"), ("mute.org.", "AAAA"), ("unsure.org.", "AAAA")}
DENIED = {("odd.org.", "AAAA")}  # as some servers say of a name that does exist (RFC 4074 4.2)


class Server(asyncio.DatagramProtocol):
    """Answers from ZONE; refuses `broken.org` and BROKEN, says nothing to anybody while `silent`."""

    def __init__(self) -> None:
        self.silent = False
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(), question.rdtype.name
        self.asked.append(f"{name} {kind}")
        answer = dns.message.make_response(query)
        if self.silent:
            return
        if name == "broken.org." or (name, kind) in BROKEN:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name not in KNOWN or (name, kind) in DENIED:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif (name, kind) in ZONE:
            answer.answer.append(dns.rrset.from_text_list(name, 60, "IN", kind, ZONE[name, kind]))
        self.transport.sendto(answer.to_wire(), address)  # type: ignore[attr-defined]


@asynccontextmanager
async def resolving() -> AsyncIterator[tuple[SystemResolver, Server]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    asks = dns.asyncresolver.Resolver(configure=False)
    asks.nameservers = ["127.0.0.1"]
    asks.port = transport.get_extra_info("sockname")[1]
    resolver = SystemResolver(servers=asks, shuffle=list.sort)
    try:
        yield resolver, server
    finally:
        resolver.close()
        transport.close()


def test_mx_and_addresses_are_found(run: Run) -> None:
    async def scene() -> None:
        async with resolving() as (resolver, _):
            assert sorted(await resolver.mx("fabrikam.com")) == [
                MxHost(10, "a.fabrikam.com."),
                MxHost(20, "b.fabrikam.com."),
            ]
            assert await resolver.mx("nomail.org") == [MxHost(0, ".")]
            assert await resolver.mx("empty.org") == []
            assert await resolver.addresses("a.fabrikam.com") == ["192.0.2.1", "2001:db8::1"]
            assert await resolver.addresses("empty.org") == []

    run(scene())


def test_no_domain_is_for_good_and_no_answer_is_not_now(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKUP_S", 0.1)

    async def scene() -> None:
        async with resolving() as (resolver, server):
            with pytest.raises(NoSuchDomain, match=r"no such domain: gone\.org"):
                await resolver.mx("gone.org")
            with pytest.raises(HopFailed, match=r"no answer from DNS for broken\.org"):
                await resolver.mx("broken.org")
            server.silent = True
            with pytest.raises(HopFailed, match="no answer from DNS"):
                await resolver.mx("fabrikam.com")

    run(scene())


def test_an_answer_is_kept_and_an_old_one_serves_while_dns_is_dead(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKUP_S", 0.1)

    async def scene() -> None:
        async with resolving() as (resolver, server):
            first = await resolver.mx("fabrikam.com")
            asked = len(server.asked)
            assert await resolver.mx("fabrikam.com") == first
            assert len(server.asked) == asked
            monkeypatch.setattr(module, "KEPT_S", 0.0)
            server.silent = True
            assert await resolver.mx("fabrikam.com") == first
            assert len(server.asked) > asked

    run(scene())


def test_names_resolve_as_the_host_does(run: Run) -> None:
    async def scene() -> None:
        async with resolving() as (resolver, _):
            assert "127.0.0.1" in await resolver.named("localhost")
            with pytest.raises(HopFailed, match="does not resolve"):
                await resolver.named("a..b")

    run(scene())


@pytest.mark.parametrize(
    ("host", "found"),
    [("half.org", "192.0.2.2"), ("other-half.org", "2001:db8::2"), ("odd.org", "192.0.2.3")],
)
def test_an_address_of_one_kind_is_used_when_the_question_for_the_other_fails(
    run: Run, host: str, found: str
) -> None:
    async def scene() -> None:
        async with resolving() as (resolver, _):
            assert await resolver.addresses(host) == [found]

    run(scene())


@pytest.mark.parametrize(
    ("host", "error"),
    [
        ("mute.org", HopFailed),
        ("unsure.org", HopFailed),
        ("broken.org", HopFailed),
        ("gone.org", NoSuchDomain),
    ],
)
def test_without_any_address_a_question_unanswered_is_not_now(
    run: Run, host: str, error: type[Exception]
) -> None:
    async def scene() -> None:
        async with resolving() as (resolver, _):
            with pytest.raises(error):
                await resolver.addresses(host)

    run(scene())
