"""`gatepost probe` against a small SMTP server: the transcript, and 0 or 1."""

import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Gatepost

ASKED = ["--mail-from", "chris@contoso.com", "--rcpt-to", "kate@fabrikam.com"]


class Relay(socketserver.StreamRequestHandler):
    """Relays for 127.0.0.10, as the article's listed host; anyone else is refused."""

    def handle(self) -> None:
        listed = self.client_address[0] == "127.0.0.10"
        self.wfile.write(b"220 mx1 ready\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            refused = verb == b"RCPT" and not listed
            self.wfile.write(b"550 5.7.1 Unable to relay\r\n" if refused else b"250 2.1.5 Recipient OK\r\n")
            if verb == b"QUIT":
                return


@pytest.fixture
def relay() -> Iterator[str]:
    """The relay's `HOST:PORT`."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="relay fake")
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(10)


def test_a_listed_host_is_accepted(bare: Gatepost, relay: str) -> None:
    ran = bare("probe", relay, *ASKED, "--source", "127.0.0.10")
    assert ran.code == 0
    assert "> RCPT TO:<kate@fabrikam.com>\n< 250 2.1.5 Recipient OK\n" in ran.out
    assert "DATA" not in ran.out
    assert ran.err == "accepted at RCPT: 250 2.1.5 Recipient OK\n"


def test_anyone_else_is_refused(bare: Gatepost, relay: str) -> None:
    ran = bare("probe", relay, *ASKED, "-o", "json")
    assert ran.code == 1
    assert (ran.json["outcome"], ran.json["stage"], ran.json["reply"]) == (
        "refused",
        "RCPT",
        "550 5.7.1 Unable to relay",
    )
    assert {"who": "client", "text": "QUIT"} in ran.json["transcript"]


def test_no_control_plane_is_needed_and_none_is_asked(bare: Gatepost, relay: str) -> None:
    assert bare("probe", relay, *ASKED, "--url", "http://127.0.0.1:9").code == 1


@pytest.mark.parametrize("target", ["", ":25", "mx1:", "mx1:0", "mx1:70000", "::1:25", "[::1]:x"])
def test_a_target_that_is_none_is_a_usage_error(bare: Gatepost, target: str) -> None:
    assert bare("probe", target, *ASKED).code == 64


def test_a_recipient_that_would_end_the_command_is_a_usage_error(bare: Gatepost, relay: str) -> None:
    ran = bare("probe", relay, "--mail-from", "", "--rcpt-to", "a@b>\r\nDATA")
    assert (ran.code, ran.out) == (64, "")
