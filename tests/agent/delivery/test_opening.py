"""From an address to a session: greetings, EHLO and HELO, the four TLS policies, AUTH, failover between addresses."""

import hashlib
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from gatepost_agent.delivery.config_folder import ConfigFolder
from gatepost_agent.delivery.errors import HopFailed
from gatepost_agent.delivery.opening import open_session
from gatepost_agent.delivery.session import Session
from gatepost_agent.delivery.targets import Target
from tests.agent.delivery.conftest import Run
from tests.agent.delivery.samples import HASTY, exit_for, job, nobody
from tests.support.smart_host import Act, SmartHost, smart_hosts

TLS = ("PIPELINING", "STARTTLS", "AUTH PLAIN LOGIN")
NAME = "smtp.contoso.com"


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or (NAME,))).configure_cert(context)
    return context


def secure_host(authority: trustme.CA, *names: str, extensions: tuple[str, ...] = TLS) -> SmartHost:
    return SmartHost(extensions=extensions, tls=server_context(authority, *names))


async def opened(host: SmartHost, folder: Path | None = None, **fields: object) -> Session:
    secrets = ConfigFolder(folder or Path("/nonexistent"))
    timeouts = {"timeouts": HASTY} if Act.HANG in host.answers.values() else {}
    target = Target(NAME, "127.0.0.1", host.port)
    return await open_session(exit_for(secrets, **timeouts, **fields), "hop", [target])  # type: ignore[arg-type]


async def mail_through(session: Session) -> None:
    await session.deliver(job(), nobody)
    session.close()


def write_credentials(folder: Path, hosts: str = f'"{NAME}"', mode: int = 0o600) -> None:
    path = folder / "credentials" / "relay"
    path.write_text(f'username = "relay"\npassword = "s3cret"\nhosts = [{hosts}]\n')
    path.chmod(mode)


@pytest.mark.parametrize(
    ("step", "answer", "word"),
    [
        ("CONNECT", "554 5.7.1 go away", "go away"),
        ("CONNECT", "421 4.3.2 busy", "busy"),
        ("CONNECT", Act.CLOSE, "closed"),
        ("CONNECT", Act.RESET, "127.0.0.1"),
        ("CONNECT", Act.HANG, "timed out"),
        ("CONNECT", b"\x16\x03\x01 hello\n", r"\x16"),
        ("EHLO", "421 4.3.2 busy", "busy"),
        ("EHLO", Act.HANG, "timed out"),
    ],
)
def test_a_session_that_does_not_begin_fails_the_hop_and_says_why(
    run: Run, step: str, answer: str | Act | bytes, word: str
) -> None:
    async def scene() -> None:
        async with SmartHost(answers={step: answer}) as host:
            with pytest.raises(HopFailed) as caught:
                await opened(host)
            assert word in str(caught.value)
            assert f"127.0.0.1:{host.port}" in str(caught.value)
            assert caught.value.status.startswith("4")

    run(scene())


def test_nobody_there_fails_the_hop(run: Run) -> None:
    async def scene() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening
            with pytest.raises(HopFailed, match="refused"):
                await open_session(exit_for(), "hop", [Target(NAME, "127.0.0.1", taken.getsockname()[1])])

    run(scene())


def test_helo_follows_a_refused_ehlo_and_offers_nothing(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost(answers={"EHLO": "502 5.5.1 what?"}) as host:
            await mail_through(await opened(host, fqdn="door.contoso.com"))
            assert host.said("HELO") == ["HELO door.contoso.com"]
            assert host.said("MAIL") == ["MAIL FROM:<scanner@contoso.com>"]
            assert len(host.messages) == 1

    run(scene())


def test_the_next_address_is_tried_when_one_fails(run: Run) -> None:
    async def scene() -> None:
        dead, alive = SmartHost(answers={"CONNECT": "421 4.3.2 busy"}), SmartHost()
        async with smart_hosts(dead, alive):
            targets = [Target("a", "127.0.0.1", dead.port), Target("b", "127.0.0.2", alive.port)]
            session = await open_session(exit_for(), "mx:contoso.com", targets)
            assert session.peer.address == f"127.0.0.2:{alive.port}"
            session.close()

    run(scene())


def test_the_source_address_is_dialled_from_and_excludes_the_other_ip_version(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host:
            target = Target("a", "127.0.0.1", host.port)
            from_v4 = exit_for(source_ip_address="127.0.0.9")
            session = await open_session(from_v4, "hop", [target])
            assert session._channel.transport.get_extra_info("sockname")[0] == "127.0.0.9"
            session.close()
            with pytest.raises(HopFailed, match="no address of the source address's kind"):
                await open_session(exit_for(source_ip_address="::1"), "hop", [target])

    run(scene())


# ------------------------------------------------------------------------------------------------------------ TLS


def test_policy_none_never_starts_tls(run: Run, authority: trustme.CA) -> None:
    async def scene() -> None:
        async with secure_host(authority) as host:
            await mail_through(await opened(host, tls_policy="none"))
            assert host.said("STARTTLS") == []
            assert not host.messages[0].tls

    run(scene())


def test_opportunistic_takes_tls_with_any_certificate(run: Run, authority: trustme.CA) -> None:
    async def scene() -> None:
        async with secure_host(authority, "other.example") as host:
            session = await opened(host, tls_policy="opportunistic")
            assert session.peer.tls.startswith("TLSv1.3")
            assert session.peer.tls.endswith("unverified")
            await mail_through(session)
            assert host.messages[0].tls

    run(scene())


@pytest.mark.parametrize(
    "answer", ["454 4.7.0 no TLS today", b"220 go on\r\nthis is no handshake\r\n", Act.CLOSE]
)
def test_opportunistic_goes_on_in_plain_text_when_tls_fails(
    run: Run, authority: trustme.CA, answer: str | bytes | Act
) -> None:
    async def scene() -> None:
        async with secure_host(authority) as host:
            host.answers["STARTTLS"] = answer
            session = await opened(host, tls_policy="opportunistic")
            assert session.peer.tls == ""
            await mail_through(session)
            assert len(host.messages) == 1

    run(scene())


@pytest.mark.parametrize("policy", ["required", "verified"])
def test_where_tls_must_be_nothing_goes_without(run: Run, authority: trustme.CA, policy: str) -> None:
    async def scene() -> None:
        async with SmartHost() as plain:
            with pytest.raises(HopFailed, match="STARTTLS is required"):
                await opened(plain, tls_policy=policy)
            assert plain.said("MAIL") == []
        async with secure_host(authority) as broken:
            broken.answers["STARTTLS"] = "454 4.7.0 no TLS today"
            with pytest.raises(HopFailed, match="no TLS today"):
                await opened(broken, tls_policy=policy)
            assert broken.connections == 1

    run(scene())


def test_verified_by_a_ca_in_the_config_folder(run: Run, authority: trustme.CA, config_folder: Path) -> None:
    async def scene() -> None:
        async with secure_host(authority) as host:
            session = await opened(host, config_folder, tls_policy="verified", tls_ca="corp-ca.pem")
            assert session.peer.tls.endswith(" verified")
            await mail_through(session)
            assert host.messages[0].tls
        async with secure_host(authority, "other.example") as impostor:
            with pytest.raises(HopFailed, match="handshake failed"):
                await opened(impostor, config_folder, tls_policy="verified", tls_ca="corp-ca.pem")
        async with secure_host(trustme.CA()) as stranger:
            with pytest.raises(HopFailed, match="handshake failed"):
                await opened(stranger, config_folder, tls_policy="verified", tls_ca="corp-ca.pem")
            with pytest.raises(HopFailed, match="handshake failed"):  # nor is it known to the system
                await opened(stranger, tls_policy="verified")

    run(scene())


def test_verified_by_a_pin(run: Run, authority: trustme.CA) -> None:
    async def scene() -> None:
        leaf = authority.issue_cert(NAME)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        der = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
        pin = "sha256:" + hashlib.sha256(der).hexdigest()
        async with SmartHost(extensions=TLS, tls=context) as host:
            (await opened(host, tls_policy="verified", tls_pins=[pin])).close()
            wrong = "sha256:" + "0" * 64
            with pytest.raises(HopFailed, match="is not pinned"):
                await opened(host, tls_policy="verified", tls_pins=[wrong])
            (await opened(host, tls_policy="verified", tls_pins=[wrong, pin])).close()

    run(scene())


def test_a_missing_ca_file_fails_the_hop_and_names_it(
    run: Run, authority: trustme.CA, config_folder: Path
) -> None:
    async def scene() -> None:
        async with secure_host(authority) as host:
            with pytest.raises(HopFailed, match=r"trust/none\.pem is missing"):
                await opened(host, config_folder, tls_policy="verified", tls_ca="none.pem")

    run(scene())


def test_our_certificate_is_shown_when_asked_for(
    run: Run, authority: trustme.CA, config_folder: Path
) -> None:
    path = config_folder / "certificates" / "mx1.pem"
    authority.issue_cert("mx1.contoso.com").private_key_and_cert_chain_pem.write_to_path(str(path))
    path.chmod(0o600)

    async def scene() -> None:
        context = server_context(authority)
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # later versions refuse after the handshake
        authority.configure_trust(context)
        async with SmartHost(extensions=TLS, tls=context) as host:
            with pytest.raises(HopFailed, match="handshake failed"):
                await opened(host, config_folder, tls_policy="required")
            session = await opened(host, config_folder, tls_policy="required", tls_certificate_name="mx1.pem")
            await mail_through(session)
            assert host.messages[0].tls

    run(scene())


def test_plain_text_injected_before_tls_is_dropped(run: Run, authority: trustme.CA) -> None:
    async def scene() -> None:
        # A man in the middle offers AUTH and CHUNKING behind the 220 (CVE-2011-0411, towards the client).
        async with secure_host(authority, extensions=("STARTTLS",)) as host:
            host.answers["STARTTLS"] = b"220 go on\r\n250-evil\r\n250 CHUNKING\r\n"
            session = await opened(host, tls_policy="required")
            await mail_through(session)
            assert host.said("BDAT") == []
            assert len(host.messages) == 1

    run(scene())


# ----------------------------------------------------------------------------------------------------------- AUTH

VERIFIED = {"tls_policy": "verified", "tls_ca": "corp-ca.pem", "authentication_credential": "relay"}


@pytest.mark.parametrize("mechanisms", ["AUTH PLAIN LOGIN", "AUTH LOGIN", "AUTH PLAIN"])
def test_it_logs_in_over_verified_tls(
    run: Run, authority: trustme.CA, config_folder: Path, mechanisms: str
) -> None:
    write_credentials(config_folder)

    async def scene() -> None:
        async with secure_host(authority, extensions=("STARTTLS", mechanisms)) as host:
            await mail_through(await opened(host, config_folder, **VERIFIED))
            assert host.messages[0].user == "relay|s3cret"

    run(scene())


@pytest.mark.parametrize(
    "case",
    [
        ('"other.contoso.com"', 0o600, TLS, "may not go to smtp.contoso.com"),
        (f'"{NAME}"', 0o644, TLS, "only its owner"),
        (f'"{NAME}"', 0o600, ("STARTTLS", "AUTH CRAM-MD5"), "neither AUTH PLAIN nor AUTH LOGIN"),
    ],
)
def test_a_password_goes_nowhere_else(
    run: Run, authority: trustme.CA, config_folder: Path, case: tuple[str, int, tuple[str, ...], str]
) -> None:
    hosts, mode, extensions, word = case
    write_credentials(config_folder, hosts, mode)

    async def scene() -> None:
        async with secure_host(authority, extensions=extensions) as host:
            with pytest.raises(HopFailed, match=word):
                await opened(host, config_folder, **VERIFIED)
            assert host.said("AUTH") == []

    run(scene())


def test_a_refused_password_fails_the_hop_and_is_not_repeated(
    run: Run, authority: trustme.CA, config_folder: Path
) -> None:
    write_credentials(config_folder)

    async def scene() -> None:
        async with secure_host(authority) as host:
            host.answers["AUTH"] = "535 5.7.8 wrong: s3cret"
            with pytest.raises(HopFailed) as caught:
                await opened(host, config_folder, **VERIFIED)
            assert "535" in str(caught.value)
            assert "s3cret" not in str(caught.value)

    run(scene())
