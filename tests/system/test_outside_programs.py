"""Mail programs that people use, against a running agent; what is not installed is skipped, with a notice."""

import shutil
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from deploy.demo.stack import Message, Stack
from gatepost.documents import load_document
from tests.support.waiting import wait_until

LISTED, USERS, STRANGER = "127.0.0.10", "127.0.0.30", "127.0.0.99"
SENDER, OUTSIDE, OURS = "chris@contoso.com", "kate@fabrikam.com", "chris@contoso.com"
BODY = "This is a test message"


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        shutil.which(program) is None, reason=f"notice: {program} is not installed here"
    )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The article on one server, with STARTTLS on both connectors."""
    with Stack(tmp_path_factory.mktemp("outside"), addresses={"mx1": "127.0.0.1"}) as running:
        running.start_control_plane()
        running.start_smart_host()
        agent = running.enroll("mx1")
        certificates = agent.state / "config" / "certificates"
        certificates.mkdir(mode=0o700, parents=True)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(running.folder / "ca.pem"))
        pem = certificates / "relay.pem"
        pem.touch(mode=0o600)
        pem.write_bytes(authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.bytes())
        running.start_agent("mx1")
        running.publish(_with_tls(running.example_text()))
        yield running


@pytest.fixture(scope="module")
def password(stack: Stack) -> str:
    """The relay user's, who may send as SENDER."""
    made = stack.client.connection.post("/v1/relay-users", {"name": "scanner", "senders": [SENDER]})
    stack.publish(_with_tls(stack.example_text()))
    return str(made["secret"])


_FOR_USERS = {
    "name": "Users",
    "remote_ip_ranges": ["127.0.0.30"],
    "auth_mechanism": ["Tls", "BasicAuth", "BasicAuthRequireTLS"],
    "permission_groups": ["ExchangeUsers"],
}


def _with_tls(text: str) -> str:
    """The example for one server, its connectors with a certificate and no tarpit, and one more for relay users."""
    document = load_document(text)
    secured = {"tls_certificate_name": "relay.pem", "tarpit_interval": "00:00:00"}
    plain = document.model_dump(mode="json", exclude_defaults=True)
    plain["connectors"] = [connector | secured for connector in plain["connectors"]]
    plain["connectors"].append(_FOR_USERS | secured | {"bindings": plain["connectors"][0]["bindings"]})
    plain["tests"] = [test for test in plain["tests"] if test["server"] == "mx1"]
    return str(plain)


def _run(*command: object, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], input=text, capture_output=True, text=True, check=False, timeout=100
    )


def _delivered(stack: Stack, subject: str) -> Message:
    """The message of this subject, once the smart host has it."""
    found: list[Message] = wait_until(
        lambda: [message for message in stack.received() if f"Subject: {subject}" in message.content],
        20,
        what=f"{subject} at the smart host",
    )
    (message,) = found
    assert BODY in message.content
    return message


# --- swaks -----------------------------------------------------------------------------------------------------


def _swaks(stack: Stack, source: str, *options: str, to: str = OUTSIDE) -> subprocess.CompletedProcess[str]:
    return _run(
        *("swaks", "--server", "127.0.0.1", "--port", stack.port, "--local-interface", source),
        *("--from", SENDER, "--to", to, "--body", BODY, *options),
    )


@needs("swaks")
@pytest.mark.parametrize("options", [(), ("--tls",), ("--pipeline",)], ids=["plain", "tls", "pipelining"])
def test_swaks_relays_from_a_listed_host(stack: Stack, options: tuple[str, ...]) -> None:
    subject = f"swaks {' '.join(options)}".strip()
    sent = _swaks(stack, LISTED, *options, "--header", f"Subject: {subject}")
    assert sent.returncode == 0, sent.stdout
    assert "250 2.1.5 Recipient OK" in sent.stdout
    assert _delivered(stack, subject).recipients == (OUTSIDE,)


@needs("swaks")
def test_swaks_is_refused_from_another(stack: Stack) -> None:
    refused = _swaks(stack, STRANGER)
    assert refused.returncode == 24, refused.stdout  # no recipient was accepted
    assert "550 5.7.1 Unable to relay" in refused.stdout


@needs("swaks")
def test_swaks_reaches_our_own_domain_from_anywhere(stack: Stack) -> None:
    sent = _swaks(stack, STRANGER, "--header", "Subject: swaks to us", to=OURS)
    assert sent.returncode == 0, sent.stdout
    assert _delivered(stack, "swaks to us").recipients == (OURS,)


@needs("swaks")
@pytest.mark.parametrize("mechanism", ["LOGIN", "PLAIN"])
def test_swaks_logs_on_and_relays(stack: Stack, password: str, mechanism: str) -> None:
    subject = f"swaks as a user with {mechanism}"
    user = ("--tls", "--auth", mechanism, "--auth-user", "scanner")
    sent = _swaks(stack, USERS, *user, "--auth-password", password, "--header", f"Subject: {subject}")
    assert sent.returncode == 0, sent.stdout
    _delivered(stack, subject)
    refused = _swaks(stack, USERS, *user, "--auth-password", password[:-1])
    assert refused.returncode == 28, refused.stdout  # authentication failed
    assert "535 5.7.3" in refused.stdout
    assert _swaks(stack, USERS).returncode == 23  # MAIL is refused without a user


# --- nmap ------------------------------------------------------------------------------------------------------


def _nmap(stack: Stack, source: str) -> str:
    scanned = _run(
        *("nmap", "-n", "-Pn", "-sT", "-p", stack.port, "--script", "+smtp-open-relay"),
        *("--script-args", "smtp-open-relay.domain=fabrikam.com", "-S", source, "-e", "lo", "127.0.0.1"),
    )
    assert scanned.returncode == 0, scanned.stderr
    assert "smtp-open-relay" in scanned.stdout, scanned.stdout
    return scanned.stdout


@needs("nmap")
def test_nmap_finds_no_open_relay_from_a_stranger(stack: Stack) -> None:
    assert "Server doesn't seem to be an open relay" in _nmap(stack, STRANGER)


@needs("nmap")
def test_nmap_finds_that_a_listed_host_relays(stack: Stack) -> None:
    """Which shows that the scan would have told us."""
    assert "Server is an open relay" in _nmap(stack, LISTED)


# --- curl, msmtp, smtplib --------------------------------------------------------------------------------------


def _mail(folder: Path, subject: str) -> Path:
    file = folder / "mail.txt"
    file.write_text(
        f"From: <{SENDER}>\r\nTo: <{OUTSIDE}>\r\nSubject: {subject}\r\n\r\n{BODY}\r\n",
        newline="",
        encoding="ascii",
    )
    return file


@needs("curl")
@pytest.mark.parametrize("options", [(), ("--ssl-reqd",)], ids=["plain", "tls"])
def test_curl_relays_from_a_listed_host(stack: Stack, tmp_path: Path, options: tuple[str, ...]) -> None:
    subject = f"curl {' '.join(options)}".strip()
    sent = _run(
        *("curl", "-sS", f"smtp://127.0.0.1:{stack.port}/scanner", "--interface", LISTED, *options),
        *("--cacert", stack.folder / "ca.pem", "--mail-from", SENDER, "--mail-rcpt", OUTSIDE),
        *("--upload-file", _mail(tmp_path, subject)),
    )
    assert sent.returncode == 0, sent.stderr
    _delivered(stack, subject)


@needs("curl")
def test_curl_logs_on_and_relays(stack: Stack, password: str, tmp_path: Path) -> None:
    sent = _run(
        *("curl", "-sS", f"smtp://127.0.0.1:{stack.port}/scanner", "--interface", USERS, "--ssl-reqd"),
        *("--cacert", stack.folder / "ca.pem", "--user", f"scanner:{password}", "--mail-from", SENDER),
        *("--mail-rcpt", OUTSIDE, "--upload-file", _mail(tmp_path, "curl as a user")),
    )
    assert sent.returncode == 0, sent.stderr
    _delivered(stack, "curl as a user")


@needs("curl")
def test_curl_is_refused_from_another(stack: Stack, tmp_path: Path) -> None:
    refused = _run(
        *("curl", "-sS", f"smtp://127.0.0.1:{stack.port}/scanner", "--interface", STRANGER),
        *("--mail-from", SENDER, "--mail-rcpt", OUTSIDE, "--upload-file", _mail(tmp_path, "never")),
    )
    assert refused.returncode == 55  # a recipient was refused
    assert "550" in refused.stderr


def _msmtp(stack: Stack, source: str, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    return _run(
        *("msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={stack.port}", f"--source-ip={source}"),
        *(f"--from={SENDER}", *options, OUTSIDE),
        text=text,
    )


@needs("msmtp")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_msmtp_relays_from_a_listed_host(stack: Stack, tmp_path: Path, *, tls: bool) -> None:
    subject = f"msmtp {tls}"
    options = ("--tls=on", f"--tls-trust-file={stack.folder / 'ca.pem'}") if tls else ()
    sent = _msmtp(stack, LISTED, _mail(tmp_path, subject).read_text(encoding="ascii"), *options)
    assert sent.returncode == 0, sent.stderr
    _delivered(stack, subject)


@needs("msmtp")
def test_msmtp_is_refused_from_another(stack: Stack, tmp_path: Path) -> None:
    refused = _msmtp(stack, STRANGER, _mail(tmp_path, "never").read_text(encoding="ascii"))
    assert refused.returncode != 0
    assert "550 5.7.1 Unable to relay" in refused.stderr


def test_smtplib_relays_from_a_listed_host_over_tls(stack: Stack) -> None:
    context = ssl.create_default_context(cafile=stack.folder / "ca.pem")
    with smtplib.SMTP("127.0.0.1", stack.port, timeout=30, source_address=(LISTED, 0)) as client:
        client.starttls(context=context)
        refused = client.sendmail(SENDER, [OUTSIDE, OURS], f"Subject: smtplib\r\n\r\n{BODY}\r\n")
    assert refused == {}
    assert _delivered(stack, "smtplib").recipients == (OUTSIDE, OURS)


def test_smtplib_is_refused_from_another(stack: Stack) -> None:
    with (
        smtplib.SMTP("127.0.0.1", stack.port, timeout=30, source_address=(STRANGER, 0)) as client,
        pytest.raises(smtplib.SMTPRecipientsRefused) as refused,
    ):
        client.sendmail(SENDER, OUTSIDE, BODY)
    assert refused.value.recipients == {OUTSIDE: (550, b"5.7.1 Unable to relay")}
