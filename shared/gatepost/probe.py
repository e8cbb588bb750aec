"""An SMTP dialogue with a relay, as one would type it into telnet, and what came of it.

No DATA unless asked: a probe leaves nothing behind. RFC 5321 names the commands, RFC 3207 STARTTLS.
"""

import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import closing
from email.message import EmailMessage
from email.policy import SMTPUTF8
from email.utils import formatdate, make_msgid
from typing import Literal, NamedTuple

from gatepost.printable import printable

MAX_REPLY_LINE = 4096
MAX_REPLY_LINES = 100
DEFAULT_TIMEOUT_S = 30.0


class Said(NamedTuple):
    """A line of the dialogue, control characters escaped. `note`: the probe's own remark."""

    who: Literal["client", "server", "note"]
    text: str


class Wanted(NamedTuple):
    """What to ask. mail_from: "" is the null sender. source: the address to come from, None the system's choice."""

    host: str
    port: int
    mail_from: str
    rcpt_to: tuple[str, ...]
    source: str | None = None
    helo: str = "probe.invalid"
    starttls: bool = False
    send: bool = False
    timeout_s: float = DEFAULT_TIMEOUT_S


class Answer(NamedTuple):
    """An SMTP reply: its code and its text lines."""

    code: int
    lines: tuple[str, ...]

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 400

    @property
    def text(self) -> str:
        """The last line as it came: `550 5.7.1 Unable to relay`."""
        return f"{self.code} {self.lines[-1]}".rstrip()


class Verdict(NamedTuple):
    """accepted: every recipient was taken (and the message, when it was sent). stage: the command that decided."""

    outcome: Literal["accepted", "refused", "unreachable"]
    stage: str
    reply: str
    transcript: tuple[Said, ...]

    @property
    def accepted(self) -> bool:
        return self.outcome == "accepted"


class BadProbe(ValueError):
    """Something that cannot be asked; the text says what to write."""


class _Ended(Exception):
    """The dialogue is over: `outcome` at `stage`."""

    def __init__(self, outcome: Literal["refused", "unreachable"], stage: str, reply: str) -> None:
        super().__init__(reply)
        self.outcome: Literal["refused", "unreachable"] = outcome
        self.stage = stage
        self.reply = reply


def checked(wanted: Wanted) -> Wanted:
    """The same, when nothing in it could end a command early. Raises BadProbe."""
    for text in (wanted.mail_from, wanted.helo, *wanted.rcpt_to):
        if not text.isprintable() or "<" in text or ">" in text:
            raise BadProbe(f"{text!r} is not one printable word. Write addresses as kate@fabrikam.com.")
    if not wanted.rcpt_to or not all(wanted.rcpt_to):
        raise BadProbe("There is no recipient. Give --rcpt-to kate@fabrikam.com.")
    return wanted


def probe(wanted: Wanted, show: Callable[[Said], None] = lambda _: None) -> Verdict:
    """Hold the dialogue; `show` gets each line as it is said. Raises BadProbe, never a network error."""
    checked(wanted)
    said: list[Said] = []

    def say(line: Said) -> None:
        said.append(line)
        show(line)

    try:
        last = _talk(wanted, say)
    except _Ended as end:
        return Verdict(end.outcome, end.stage, end.reply, tuple(said))
    return Verdict("accepted", "DATA" if wanted.send else "RCPT", last.text, tuple(said))


def _talk(wanted: Wanted, say: Callable[[Said], None]) -> Answer:
    with closing(_Session(_connected(wanted, say), say)) as session:
        session.expect("greeting", session.reply("greeting"))
        _hello(session, wanted)
        if wanted.starttls:
            session.command("STARTTLS")
            session.start_tls(wanted.host)
            _hello(session, wanted)
        session.command(f"MAIL FROM:<{wanted.mail_from}>")
        last = [session.command(f"RCPT TO:<{recipient}>") for recipient in wanted.rcpt_to][-1]
        if wanted.send:
            last = _send(session, wanted)
        session.quit()
        return last


def _connected(wanted: Wanted, say: Callable[[Said], None]) -> socket.socket:
    where = f"{wanted.host}:{wanted.port}"
    source = (wanted.source, 0) if wanted.source else None
    try:
        found = socket.create_connection(
            (wanted.host, wanted.port), timeout=wanted.timeout_s, source_address=source
        )
    except OSError as error:
        raise _Ended("unreachable", "connect", f"{where}: {error}") from error
    say(Said("note", f"connected to {where} from {found.getsockname()[0]}"))
    return found


def _hello(session: "_Session", wanted: Wanted) -> None:
    """EHLO, and HELO for a server that does not know it. RFC 5321 section 3.2."""
    if not session.ask(f"EHLO {wanted.helo}").positive:
        session.command(f"HELO {wanted.helo}")


def _send(session: "_Session", wanted: Wanted) -> Answer:
    message = EmailMessage(policy=SMTPUTF8)
    message["From"] = wanted.mail_from or f"postmaster@{wanted.helo}"
    message["To"] = ", ".join(wanted.rcpt_to)
    message["Subject"] = "Gatepost probe"
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=wanted.helo)
    message.set_content("A test message, sent by `gatepost probe --send`.\n")
    session.command("DATA")
    for line in message.as_string().splitlines():
        session.write(line)
    return session.command(".", stage="DATA")


class _Session:
    """Lines there and back over a socket; replies are bounded, since the other side may be anything."""

    def __init__(self, sock: socket.socket, say: Callable[[Said], None]) -> None:
        self._socket = sock
        self._say = say
        self._file = sock.makefile("rb")

    def command(self, line: str, *, stage: str = "") -> Answer:
        """Ask, and end the dialogue unless the reply is positive."""
        stage = stage or line.partition(" ")[0]
        return self.expect(stage, self.ask(line))

    def expect(self, stage: str, reply: Answer) -> Answer:
        if not reply.positive:
            self.quit()
            raise _Ended("refused", stage, reply.text)
        return reply

    def ask(self, line: str) -> Answer:
        self.write(line)
        return self.reply(line.partition(" ")[0])

    def write(self, line: str) -> None:
        self._say(Said("client", line))
        try:
            self._socket.sendall(line.encode() + b"\r\n")
        except OSError as error:
            raise _Ended("unreachable", line.partition(" ")[0], f"the connection broke: {error}") from error

    def reply(self, stage: str) -> Answer:
        """The next reply, its lines shown as they come. RFC 5321 section 4.2.1."""
        lines: list[str] = []
        for raw in self._lines(stage):
            text = printable(raw)
            self._say(Said("server", text))
            if not raw[:3].isdigit():
                raise _Ended("refused", stage, f"not an SMTP reply: {text}")
            lines.append(text[4:])
            if raw[3:4] != b"-":
                return Answer(int(raw[:3]), tuple(lines))
        raise _Ended("refused", stage, f"a reply of more than {MAX_REPLY_LINES} lines")

    def _lines(self, stage: str) -> Iterable[bytes]:
        for _ in range(MAX_REPLY_LINES):
            try:
                raw = self._file.readline(MAX_REPLY_LINE)
            except OSError as error:
                raise _Ended("unreachable", stage, f"no reply: {error}") from error
            if not raw:
                raise _Ended("unreachable", stage, "the server closed the connection")
            yield raw.rstrip(b"\r\n")

    def start_tls(self, host: str) -> None:
        """Encrypt as mail programs do between relays: whoever the other side is. RFC 3207."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._file.close()
        try:
            secured = context.wrap_socket(self._socket, server_hostname=host)
        except OSError as error:
            raise _Ended("unreachable", "STARTTLS", f"the TLS handshake failed: {error}") from error
        cipher = (secured.cipher() or ("?",))[0]
        self._say(Said("note", f"{secured.version()}, {cipher}, certificate not checked"))
        self._socket, self._file = secured, secured.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def quit(self) -> None:
        """Say goodbye; how the other side takes it changes nothing."""
        try:
            self.ask("QUIT")
        except _Ended:
            self._say(Said("note", "the connection ended without a goodbye"))
