"""What an EHLO reply offers."""

from gatepost_agent.delivery.extensions import Extensions, parse_extensions
from gatepost_agent.delivery.replies import ServerReply


def offered(*lines: bytes) -> Extensions:
    return parse_extensions(ServerReply(250, (b"mail.contoso.com greets you", *lines)))


def test_everything_we_use_is_seen_in_any_case() -> None:
    lines = (
        b"pipelining",
        b"SIZE 1000",
        b"8BITMIME",
        b"SMTPUTF8",
        b"CHUNKING",
        b"STARTTLS",
        b"AUTH PLAIN login",
    )
    assert offered(*lines) == Extensions(
        pipelining=True,
        eight_bit=True,
        smtp_utf8=True,
        chunking=True,
        starttls=True,
        size=1000,
        auth=frozenset({"PLAIN", "LOGIN"}),
    )


def test_the_greeting_line_offers_nothing() -> None:
    assert parse_extensions(ServerReply(250, (b"PIPELINING",))) == Extensions()


def test_a_size_without_a_limit_is_not_no_size() -> None:
    assert offered(b"SIZE").size == 0
    assert offered(b"SIZE many").size == 0
    assert offered(b"SIZE " + b"9" * 400).size == 0
    assert offered().size is None


def test_the_old_form_of_auth_is_understood() -> None:
    assert offered(b"AUTH=LOGIN", b"AUTH PLAIN").auth == {"LOGIN", "PLAIN"}
