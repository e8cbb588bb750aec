"""What a session leaves in the protocol log and in the mail log."""

import base64
import csv
from collections.abc import Callable
from unittest.mock import Mock

from gatepost.policy.dialogue.rules.auth import verifier
from tests.support.smtp import Shell

Serve = Callable[..., None]
LOGON = f"AUTH PLAIN {base64.b64encode(bytes(1) + b'scanner' + bytes(1) + b'secret').decode()}"
USER = {"name": "Scanner", "verifier": verifier(bytes(16), b"secret"), "senders": ("scanner@contoso.com",)}
SETTINGS = {
    "auth_mechanism": ["BasicAuth"],
    "permission_groups": ["ExchangeUsers", "AnonymousUsers"],
    "protocol_logging_level": "Verbose",
    "users": (USER,),
}


def test_the_protocol_log_tells_who_it_is_and_where_a_message_begins(serve: Serve) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        await client.say("HELO x", LOGON)
        await client.say("MAIL FROM:<scanner@contoso.com>", "RSET", "MAIL FROM:<scanner@contoso.com>", "QUIT")
        await shell.hang_up()
        rows = list(csv.reader(shell.server._protocol_log.take()))
        told = [(data, context) for *_, event, data, context in rows if event == "*"]
        contexts = [context for _, context in told]
        assert contexts == [
            "Set Session Permissions",
            "Set Session Permissions",
            "authenticated",
            "receiving message",
            "receiving message",
        ]
        assert "SMTPAcceptAnyRecipient" in told[0][0]
        assert "BypassAntiSpam" not in told[0][0]
        assert "BypassAntiSpam" in told[1][0]
        assert told[2][0] == "user:scanner"
        names = [data.split(";") for data, _ in told[3:]]
        assert [(name[0], name[2]) for name in names] == [(rows[0][2], "1"), (rows[0][2], "2")]
        assert rows[-1][6:] == ["-", "", "Local"]
        heard = [row[7] for row in rows if row[6] == "<"]
        assert heard[1] == "(not logged)"
        where = [row[7] for row in rows]
        assert where.index("user:scanner") < where.index("235 2.7.0 Authentication successful")

    serve(story, **SETTINGS)


def test_the_line_of_a_session_tells_its_rights_and_its_last_refusal(serve: Serve, mail_log: Mock) -> None:
    async def story(shell: Shell) -> None:
        client = await shell.client()
        await client.reply()
        await client.say("HELO x", LOGON, "MAIL FROM:<ceo@contoso.com>", "QUIT")
        await shell.hang_up()

    serve(story, **SETTINGS)
    (told,) = [call.kwargs for call in mail_log.info.call_args_list if call.args == ("smtp_session",)]
    assert told["principal"] == "user:scanner"
    assert "ms-Exch-Bypass-Anti-Spam" in told["rights"]
    assert told["refusal"]
    assert (told["right"], told["source"]) == (
        "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender",
        "not granted",
    )
