"""No secret and no text of a message is written down, whatever was sent where."""

from collections.abc import Callable
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_agent.smtp.shown_line import HIDDEN, shown_line
from tests.support.smtp import Shell

Serve = Callable[..., None]


@pytest.mark.parametrize(
    "line",
    [
        b"EHLO scanner.contoso.com",
        b"helo scanner 3rd floor",
        b"mail from: <chris@contoso.com> SIZE=5",
        b"RCPT TO:kate@fabrikam.com",
        b"BDAT 5 LAST",
        b"DATA",
        b"AUTH",
        b"AUTH LOGIN",
        b"QUIT ",
    ],
)
def test_commands_are_shown_whole(line: bytes) -> None:
    assert shown_line(line, secret=False) == line
    assert shown_line(line, secret=True) == HIDDEN


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"AUTH PLAIN AHNjYW5uZXIAc2VjcmV0", b"AUTH PLAIN (not logged)"),
        (b"AUTH\tlogin\tc2Nhbm5lcg==", b"AUTH login (not logged)"),
        (b"AUTH AHNjYW5uZXIAc2VjcmV0", b"AUTH (not logged)"),
        (b"AUTH PLAINc2VjcmV0", b"AUTH (not logged)"),
        (b"AUTH\0PLAIN c2VjcmV0", HIDDEN),
        (b"c2VjcmV0", HIDDEN),
        (b"Subject: salary list", HIDDEN),
        (b"the password is 4711", HIDDEN),
        (b"help me: the code is 4711", b"help (not logged)"),
        (b"mail the code 4711", b"mail (not logged)"),
        (b"BDAT the code 4711", b"BDAT (not logged)"),
        (b"", HIDDEN),
    ],
)
def test_what_may_be_secret_or_text_is_not_shown(line: bytes, shown: bytes) -> None:
    assert shown_line(line, secret=False) == shown


@given(st.sampled_from([b"AUTH PLAIN ", b"AUTH ", b"auth\t", b"AUTH LOGIN\t", b"AUTH  PLAIN\x0b", b""]))
def test_a_secret_never_shows(before: bytes) -> None:
    assert b"c2VjcmV0" not in shown_line(before + b"c2VjcmV0", secret=False)


_SECRET = "AHNjYW5uZXIAc2VjcmV0"
_HELLO, _MAIL = "EHLO x", "MAIL FROM:<a@contoso.com>"


@pytest.mark.parametrize(
    "lines",
    [
        (f"AUTH PLAIN {_SECRET}",),
        (_HELLO, _MAIL, f"AUTH PLAIN {_SECRET}"),
        (_HELLO, f"AUTH PLAIN {_SECRET}\x01"),
        (_HELLO, f"AUTH\tPLAIN {_SECRET}"),
        (_HELLO, "AUTH NTLM", _SECRET),
        (_HELLO, "DATA", f"Subject: {_SECRET}", "", f"{_SECRET} is the code"),
    ],
)
def test_neither_log_holds_what_was_sent_in_the_wrong_place(
    serve: Serve, mail_log: Mock, lines: tuple[str, ...]
) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        client.send("".join(f"{line}\r\n" for line in (*lines, "QUIT")).encode())
        while await client.reply():
            pass
        await shell.hang_up()
        rows = shell.server._protocol_log.take()
        assert any("QUIT" in row for row in rows)
        assert not [row for row in rows if _SECRET in row]

    serve(
        story,
        auth_mechanism=["BasicAuth"],
        permission_groups=["ExchangeUsers", "AnonymousUsers"],
        protocol_logging_level="Verbose",
    )
    assert "smtp_refused" in str(mail_log.mock_calls)
    assert _SECRET not in str(mail_log.mock_calls)
