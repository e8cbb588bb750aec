"""Every field of a send connector changes where mail goes or what the next hop sees: a new field fails the test.

Each field has two values and an observation that must differ between them: the route that is found, or what a smart
host on loopback meets when mail is sent to it.
"""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from gatepost.documents import dump_document, validate
from gatepost.policy.dialogue.compiled import compile_policy
from gatepost.policy.dialogue.domains import AcceptedDomains
from gatepost.policy.dialogue.routing import Mx
from gatepost.policy.dialogue.routing import SmartHost as Hop
from gatepost.policy.model.bundle import Server, render
from gatepost.policy.model.document import FleetDocument
from gatepost.policy.model.send_connector import SendConnector
from gatepost_agent.delivery.config_folder import ConfigFolder
from gatepost_agent.delivery.errors import HopFailed
from gatepost_agent.delivery.exits import Exit
from gatepost_agent.delivery.job import Job
from gatepost_agent.delivery.opening import open_session
from gatepost_agent.delivery.pool import Pool
from gatepost_agent.delivery.routing import make_routing
from gatepost_agent.delivery.targets import Finder, Target
from tests.agent.delivery.resolver import FakeResolver
from tests.agent.delivery.samples import job, message, nobody
from tests.support.smart_host import SmartHost
from tests.support.waiting import eventually

MX1 = Server("mx1", {"site": "fra"})
NAME = "smtp.contoso.com"
AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert(NAME)
PIN = (
    "sha256:" + hashlib.sha256(ssl.PEM_cert_to_DER_cert(LEAF.cert_chain_pems[0].bytes().decode())).hexdigest()
)
OUT: dict[str, Any] = {
    "name": "Out",
    "address_spaces": ["*"],
    "smart_hosts": ["a.contoso.net", "b.contoso.net"],
}
DIRECT = {"smart_hosts": [], "dns_routing_enabled": True}
VERIFIED = {"tls_policy": "verified", "tls_ca": "corp-ca.pem"}

Observe = Callable[[FleetDocument, Path], object]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent's config folder: a CA of ours and a stranger's, a certificate, a password."""
    folder = tmp_path_factory.mktemp("config")
    for kind in ("credentials", "certificates", "trust"):
        (folder / kind).mkdir()
    AUTHORITY.cert_pem.write_to_path(str(folder / "trust" / "corp-ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "trust" / "other-ca.pem"))
    ours = AUTHORITY.issue_cert("mx1.contoso.com").private_key_and_cert_chain_pem.bytes()
    _write(folder / "certificates" / "mx1.pem", ours)
    _write(folder / "credentials" / "relay", f'username = "r"\npassword = "s"\nhosts = ["{NAME}"]\n'.encode())
    return folder


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _fleet(settings: dict[str, Any]) -> FleetDocument:
    document: FleetDocument = validate({"send_connectors": [OUT | settings]})
    return document


def _exit(document: FleetDocument, folder: Path) -> Exit:
    connectors = render(document, MX1, ()).send_connectors
    accepted, secrets = AcceptedDomains(()), ConfigFolder(folder)
    return make_routing(connectors, accepted=accepted, fqdn="mx1.contoso.com", secrets=secrets).exits["Out"]


# --- what is observed ------------------------------------------------------------------------------------------


def shown(document: FleetDocument, _: Path) -> object:
    return dump_document(document)


def route(document: FleetDocument, _: Path) -> object:
    policy = compile_policy(
        render(document, MX1, ()), addresses={}, fqdn="mx1.contoso.com", now=1_780_000_000.0
    )
    return policy.routes.find("fabrikam.com")


def _server(*, demanding: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    LEAF.configure_cert(context)
    if demanding:
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # later versions refuse after the handshake
        AUTHORITY.configure_trust(context)
    return context


def meets(*, demanding: bool = False) -> Observe:
    """What a smart host with TLS and AUTH sees of one message, or why it gets none. demanding: our certificate."""

    async def story(exit_: Exit) -> object:
        async with SmartHost(extensions=("STARTTLS", "AUTH PLAIN"), tls=_server(demanding=demanding)) as host:
            try:
                session = await open_session(exit_, "hop", [Target(NAME, "127.0.0.1", host.port)])
            except HopFailed as failed:
                return str(failed).replace(str(host.port), "port")
            source = session._channel.transport.get_extra_info("sockname")[0]
            await session.deliver(job(), nobody)
            session.close()
            [received] = host.messages
            return host.said("EHLO"), source, received.tls, received.user

    return lambda document, folder: asyncio.run(story(_exit(document, folder)))


@asynccontextmanager
async def _pool() -> AsyncIterator[Pool]:
    """Its clock stands still."""
    resolver = FakeResolver()
    resolver.mail["fabrikam.com"] = [(0, "mail.fabrikam.com.")]
    resolver.hosts["mail.fabrikam.com"] = ["127.0.0.1"]
    pool = Pool(Finder(resolver), clock=lambda: 1000.0, chance=lambda: 0.5)
    try:
        yield pool
    finally:
        await pool.stop()


def delivers(
    look: Callable[[Pool, SmartHost, list[Job]], Awaitable[object]], *, by_mx: bool = False
) -> Observe:
    """What comes of five messages for a next hop."""

    async def story(exit_: Exit) -> object:
        async with SmartHost() as host, _pool() as pool:
            to = Mx("Out", "fabrikam.com", host.port) if by_mx else Hop("Out", "127.0.0.1", host.port)
            jobs = [job(message(number)) for number in range(5)]
            for one in jobs:
                one.done.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at
                pool.submit(exit_, to, one)
            return await look(pool, host, jobs)

    return lambda document, folder: asyncio.run(story(_exit(document, folder)))


async def connections(_: Pool, host: SmartHost, jobs: list[Job]) -> object:
    await asyncio.gather(*(one.done for one in jobs))
    return host.connections


async def width(pool: Pool, _: SmartHost, jobs: list[Job]) -> object:
    await asyncio.gather(*(one.done for one in jobs))
    return [lane._width.limit for lane in pool._lanes.values()]


async def delivered_in_this_minute(pool: Pool, host: SmartHost, jobs: list[Job]) -> object:
    [lane] = pool._lanes.values()
    await eventually(lambda: bool(lane._idle) or all(one.done.done() for one in jobs))
    return len(host.messages)


async def outcome(_: Pool, host: SmartHost, jobs: list[Job]) -> object:
    found = await asyncio.gather(*(one.done for one in jobs), return_exceptions=True)
    return len(host.messages), {type(one) for one in found}


def patience(document: FleetDocument, folder: Path) -> object:
    """How long it waits for answers, and mail for delivery."""
    exit_ = _exit(document, folder)
    return exit_.idle_s, exit_.timeouts, exit_.expire_after_s


# --- every field -----------------------------------------------------------------------------------------------

FIELDS: dict[str, tuple[dict[str, Any], Any, Any, Observe]] = {
    "name": ({}, "Out", "Out 2", route),
    "comment": ({}, "", "to the world", shown),
    "enabled": ({}, True, False, route),
    "servers": ({}, ["*"], ["mx2"], route),
    "address_spaces": ({}, ["*"], ["contoso.net"], route),
    "smart_hosts": ({}, ["a.contoso.net"], ["b.contoso.net"], route),
    "dns_routing_enabled": ({}, False, True, route),
    "port": (DIRECT, 25, 26, route),
    "allow_private": (DIRECT, True, False, delivers(outcome, by_mx=True)),
    "source_ip_address": ({}, None, "127.0.0.9", meets()),
    "fqdn": ({}, None, "door.contoso.com", meets()),
    "tls_policy": ({}, "none", "required", meets()),
    "tls_ca": (VERIFIED, "corp-ca.pem", "other-ca.pem", meets()),
    "tls_pins": ({"tls_policy": "verified"}, [PIN], ["sha256:" + "0" * 64], meets()),
    "tls_certificate_name": ({"tls_policy": "required"}, None, "mx1.pem", meets(demanding=True)),
    "authentication_credential": (VERIFIED, None, "relay", meets()),
    "max_connections": ({}, 1, 2, delivers(width)),
    "smtp_max_messages_per_connection": ({"max_connections": 1}, 2, 5, delivers(connections)),
    "message_rate_limit": ({"max_connections": 1}, "unlimited", 2, delivers(delivered_in_this_minute)),
    "connection_inactivity_timeout": ({}, "00:10:00", "00:00:05", patience),
    "expiration_timeout": ({}, "2.00:00:00", "01:00:00", patience),
}  # fmt: skip


@pytest.mark.parametrize("field", SendConnector.model_fields)
def test_every_setting_of_a_send_connector_does_something(field: str, folder: Path) -> None:
    beside, one, other, observe = FIELDS[field]
    first, second = (_fleet(_with(beside, field, value)) for value in (one, other))
    seen = observe(first, folder)
    assert seen != observe(second, folder)
    assert seen == observe(first, folder), "the observation itself must be steady"


def _with(beside: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    direct = DIRECT if field == "dns_routing_enabled" and value else {}
    return beside | direct | {field: value}
