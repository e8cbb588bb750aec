"""The probe against a small SMTP server that answers as it is told."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BufferedRWPair
from typing import Any

import pytest
import trustme

from gatepost.probe import BadProbe, Said, Wanted, checked, probe

ACCEPTING: dict[str, str | None] = {
    "": "220 mx1 ready",
    "EHLO": "250-mx1\r\n250 SIZE",
    "QUIT": "221 2.0.0 bye",
    "DATA": "354 go",
    ".": "250 2.6.0 ok",
}


class SmtpServer:
    """One reply for each verb; "" is the greeting, `None` closes the connection."""

    def __init__(self, replies: dict[str, str | None], tls: ssl.SSLContext | None = None) -> None:
        self.replies = ACCEPTING | replies
        self.tls = tls
        self.heard: list[str] = []
        self.peer = ""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="smtp fake")
        self._thread.start()

    def close(self) -> None:
        self._listening.close()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._thread.join(10)

    def _serve(self) -> None:
        with suppress(OSError):
            client, (self.peer, _) = self._listening.accept()
            client.settimeout(10)
            self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        with client, client.makefile("rwb") as file:
            self._say(file, "")
            if self._dialogue(file) == "STARTTLS" and self.tls is not None:
                with self.tls.wrap_socket(client, server_side=True) as tls, tls.makefile("rwb") as again:
                    self._dialogue(again)

    def _dialogue(self, file: BufferedRWPair) -> str:
        """Answer until the client leaves or starts TLS -> the last line."""
        in_data = False
        line = ""
        for raw in file:
            line = raw.decode().rstrip()
            self.heard.append(line)
            in_data = line == "DATA" or (in_data and line != ".")
            if in_data and line != "DATA":
                continue
            if not self._say(file, line) or line == "STARTTLS":
                break
        return line

    def _say(self, file: BufferedRWPair, line: str) -> bool:
        verb = line.partition(" ")[0]
        reply = self.replies.get(line) or self.replies.get(verb, "250 2.0.0 ok")
        if reply is not None:
            file.write(reply.encode() + b"\r\n")
            file.flush()
        return reply is not None


Server = Callable[..., SmtpServer]


@pytest.fixture
def server() -> Iterator[Server]:
    started: list[SmtpServer] = []

    def start(replies: dict[str, str | None] | None = None, tls: ssl.SSLContext | None = None) -> SmtpServer:
        started.append(SmtpServer(replies or {}, tls))
        return started[-1]

    yield start
    for each in started:
        each.close()


def asked(fake: SmtpServer, **other: Any) -> Wanted:
    wanted = Wanted("127.0.0.1", fake.port, "chris@contoso.com", ("kate@fabrikam.com",), timeout_s=5)
    return wanted._replace(**other)


def test_a_recipient_is_accepted_and_no_data_is_sent(server: Server) -> None:
    fake = server()
    said: list[Said] = []
    verdict = probe(asked(fake), said.append)
    assert (verdict.outcome, verdict.stage, verdict.reply) == ("accepted", "RCPT", "250 2.0.0 ok")
    assert fake.heard == [
        "EHLO probe.invalid",
        "MAIL FROM:<chris@contoso.com>",
        "RCPT TO:<kate@fabrikam.com>",
        "QUIT",
    ]
    assert tuple(said) == verdict.transcript
    assert Said("server", "250-mx1") in said


def test_a_refusal_names_the_command_and_the_reply(server: Server) -> None:
    fake = server({"RCPT TO:<kate@fabrikam.com>": "550 5.7.1 Unable to relay"})
    verdict = probe(asked(fake))
    assert (verdict.outcome, verdict.stage, verdict.reply) == ("refused", "RCPT", "550 5.7.1 Unable to relay")
    assert fake.heard[-1] == "QUIT"


def test_one_refused_recipient_of_two_is_a_refusal(server: Server) -> None:
    fake = server({"RCPT TO:<kate@fabrikam.com>": "550 5.7.1 no"})
    assert not probe(asked(fake, rcpt_to=("kate@fabrikam.com", "ann@contoso.com"))).accepted


def test_a_greeting_of_554_is_a_refusal(server: Server) -> None:
    verdict = probe(asked(server({"": "554 5.7.1 no service"})))
    assert (verdict.outcome, verdict.stage) == ("refused", "greeting")


def test_helo_follows_where_ehlo_is_unknown(server: Server) -> None:
    fake = server({"EHLO": "502 5.5.1 unknown"})
    assert probe(asked(fake)).accepted
    assert fake.heard[1] == "HELO probe.invalid"


def test_the_message_is_sent_when_asked(server: Server) -> None:
    fake = server()
    verdict = probe(asked(fake, send=True))
    assert (verdict.outcome, verdict.stage, verdict.reply) == ("accepted", "DATA", "250 2.6.0 ok")
    assert "Subject: Gatepost probe" in fake.heard
    assert "." in fake.heard


def test_the_null_sender_may_be_probed(server: Server) -> None:
    fake = server()
    assert probe(asked(fake, mail_from="")).accepted
    assert "MAIL FROM:<>" in fake.heard


def test_it_comes_from_the_address_that_is_asked_for(server: Server) -> None:
    fake = server()
    assert probe(asked(fake, source="127.0.0.9")).accepted
    assert fake.peer == "127.0.0.9"


def test_tls_is_spoken_before_anything_else(server: Server) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("mx1.contoso.com").configure_cert(context)
    fake = server({"STARTTLS": "220 2.0.0 go"}, context)
    verdict = probe(asked(fake, starttls=True))
    assert verdict.accepted
    assert any(line.who == "note" and line.text.startswith("TLSv1.") for line in verdict.transcript)
    assert fake.heard[:3] == ["EHLO probe.invalid", "STARTTLS", "EHLO probe.invalid"]


def test_a_refused_starttls_ends_it(server: Server) -> None:
    verdict = probe(asked(server({"STARTTLS": "454 4.7.0 not now"}), starttls=True))
    assert (verdict.outcome, verdict.stage) == ("refused", "STARTTLS")


def test_a_server_that_leaves_is_unreachable(server: Server) -> None:
    verdict = probe(asked(server({"MAIL": None})))
    assert (verdict.outcome, verdict.stage) == ("unreachable", "MAIL")


def test_nobody_home_is_unreachable(free_port: Callable[[str], int]) -> None:
    verdict = probe(Wanted("127.0.0.1", free_port("127.0.0.1"), "", ("kate@fabrikam.com",)))
    assert (verdict.outcome, verdict.stage) == ("unreachable", "connect")


def test_what_a_server_says_cannot_steer_the_terminal(server: Server) -> None:
    verdict = probe(asked(server({"RCPT": "550 \x1b[2Jgone"})))
    assert r"550 \x1b[2Jgone" in [line.text for line in verdict.transcript]
    assert verdict.reply.isprintable()


@pytest.mark.parametrize("reply", ["hello", "250-more\r\n" * 200], ids=["no reply", "too many lines"])
def test_what_is_no_reply_ends_it(server: Server, reply: str) -> None:
    assert probe(asked(server({"EHLO": reply}))).outcome == "refused"


@pytest.mark.parametrize(
    "other",
    [
        {"mail_from": "a@b>\r\nDATA"},
        {"rcpt_to": ()},
        {"rcpt_to": ("",)},
        {"helo": "x\r\nMAIL"},
        {"rcpt_to": ("<a@b>",)},
    ],
)
def test_nothing_that_would_end_a_command_is_sent(other: dict[str, Any]) -> None:
    with pytest.raises(BadProbe):
        checked(Wanted("127.0.0.1", 25, "a@b", ("c@d",))._replace(**other))
