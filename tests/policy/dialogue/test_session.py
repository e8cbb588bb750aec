"""What a session does about the world around it: caps, blocks, newer configs, timeouts, trouble."""

from dataclasses import dataclass
from typing import Any

import pytest

from gatepost.documents import load_document
from gatepost.policy.dialogue import replies
from gatepost.policy.dialogue.compiled import Endpoint, Policy, compile_policy
from gatepost.policy.dialogue.content import Content
from gatepost.policy.dialogue.decision import Decision, Envelope, Limit, Next, Pressure, Usage
from gatepost.policy.dialogue.denied import Denial
from gatepost.policy.dialogue.events import (
    Connected,
    ContentEnded,
    Event,
    Failed,
    Interrupted,
    Line,
    LineTooLong,
    NotStored,
    Stored,
    TimedOut,
    TlsStarted,
)
from gatepost.policy.dialogue.headers import ContentRules
from gatepost.policy.dialogue.session import Session
from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.bundle import Server, render
from tests.support.corpus import CORPUS, endpoint

NOW = 1_780_000_000.0
_ARTICLE = (CORPUS / "fleets" / "article.yaml").read_text()
_BLOCKED = Denial("127.0.0.10", "no_service", "block", "infected")
_NO_RELAY = Denial("127.0.0.10", "no_relay", "rollback")


def article(text: str = _ARTICLE, now: float = NOW) -> Policy:
    bundle = render(load_document(text), Server("mx1"))
    return compile_policy(bundle, addresses={}, fqdn="mx1.contoso.com", now=now)


@dataclass
class Client:
    """A client that speaks to a session; `usage` is the host around it."""

    policy: Policy
    remote: str = "127.0.0.10"
    local: str = "127.0.0.1"

    def __post_init__(self) -> None:
        local, remote = Endpoint(parse_address(self.local), 25), Endpoint(parse_address(self.remote), 50000)
        self.session = Session(self.policy, local=local, remote=remote, session_id="5E55")
        self.usage = Usage(now=NOW, policy=self.policy)

    def happens(self, event: Event, **usage: Any) -> Decision:
        return self.session.step(event, self.usage._replace(**usage))

    def says(self, *lines: str, **usage: Any) -> Decision:
        return [self.happens(Line(line.encode()), **usage) for line in lines][-1]

    def ready(self) -> "Client":
        self.happens(Connected())
        self.says("HELO x")
        return self

    def sends(self, text: bytes = b"Subject: x\r\n\r\n.\r\n") -> Decision:
        """A whole message up to the decision on its content."""
        rules = self.says("MAIL FROM:<a@contoso.com>", "RCPT TO:<b@fabrikam.com>", "DATA").argument
        assert isinstance(rules, ContentRules)
        ended = Content(rules).feed(text).ended
        assert ended is not None
        return self.happens(ContentEnded(ended))


# --- at connect ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "usage", "reply"),
    [
        ("max_inbound_connection: 3", {"connector_open": 2}, None),
        ("max_inbound_connection: 3", {"connector_open": 3}, "421 4.3.2 The maximum number"),
        ("max_inbound_connection_per_source: 2", {"source_open": 1, "connector_open": 1}, None),
        ("max_inbound_connection_per_source: 2", {"source_open": 2, "connector_open": 2}, "a per-source"),
        ("max_inbound_connection_per_source: unlimited", {"source_open": 90, "connector_open": 90}, None),
        # 2 % of the free slots: 5000 - 4500 leaves 10 to one source.
        ("max_inbound_connection_per_source: unlimited", {"source_open": 9, "connector_open": 4500}, None),
        ("max_inbound_connection_per_source: unlimited", {"source_open": 10, "connector_open": 4500}, "a per-source"),
        ("max_inbound_connection_percentage_per_source: 1", {"source_open": 5, "connector_open": 4500}, "a per-source"),
        ("max_inbound_connection: 10", {"source_open": 1, "connector_open": 1}, "a per-source"),
        ("max_inbound_connection: unlimited", {"source_open": 19, "connector_open": 99999}, None),
        ("comment: a relay", {"session_cap": 100, "sessions_open": 99}, None),
        ("comment: a relay", {"session_cap": 100, "sessions_open": 100}, "421 4.3.2 The maximum number"),
    ],
)  # fmt: skip
def test_caps_are_kept_at_connect(setting: str, usage: dict[str, int], reply: str | None) -> None:
    text = _ARTICLE.replace("  - name: Anonymous Relay\n", f"  - name: Anonymous Relay\n    {setting}\n")
    decision = Client(article(text)).happens(Connected(), **usage)
    assert decision.reply is not None
    if reply is None:
        assert decision.reply.code == 220
    else:
        assert reply in decision.reply.text
        assert decision.next is Next.CLOSE


def test_a_fifth_of_all_sessions_is_kept_for_relay_connectors() -> None:
    usage = {"session_cap": 100, "sessions_open": 80}
    assert Client(article(), "127.0.0.99").happens(Connected(), **usage).next is Next.CLOSE
    assert Client(article(), "127.0.0.10").happens(Connected(), **usage).next is Next.READ_LINE


# --- the denied set --------------------------------------------------------------------------------------------


def test_a_blocked_client_is_not_served() -> None:
    decision = Client(article()).happens(Connected(), denied=_BLOCKED)
    assert decision.reply is replies.NO_SERVICE
    assert decision.next is Next.CLOSE
    assert "block" in decision.trace.reason


def test_an_open_session_of_a_blocked_client_ends_at_its_next_command() -> None:
    client = Client(article()).ready()
    decision = client.says("NOOP", denied=_BLOCKED)
    assert decision.reply is replies.NOT_AVAILABLE
    assert decision.next is Next.CLOSE


def test_what_was_stored_is_answered_even_to_a_blocked_client() -> None:
    client = Client(article()).ready()
    assert client.sends().next is Next.STORE
    decision = client.happens(Stored(7, "<m@x>"), denied=_BLOCKED)
    assert decision.reply is not None
    assert decision.reply.code == 250


def test_a_client_without_relay_right_still_reaches_our_own_domains() -> None:
    client = Client(article()).ready()
    assert client.says("MAIL FROM:<a@contoso.com>", denied=_NO_RELAY).reply is replies.SENDER_OK
    refused = client.says("RCPT TO:<b@fabrikam.com>", denied=_NO_RELAY)
    assert refused.reply is replies.UNABLE_TO_RELAY
    assert "rollback" in refused.trace.reason
    assert client.says("RCPT TO:<b@contoso.com>", denied=_NO_RELAY).reply is replies.RECIPIENT_OK


# --- a newer config --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        (("", ""), True),
        (("remote_ip_ranges: [127.0.0.10, 127.0.0.11]", "remote_ip_ranges: [127.0.0.11]"), False),
        (("name: Anonymous Relay", "name: Other Relay"), False),
        (("Ms-Exch-SMTP-Accept-Any-Recipient", "ms-Exch-SMTP-Submit"), False),
        (("remote_ip_ranges: [127.0.0.10, 127.0.0.11]", "remote_ip_ranges: [127.0.0.0/24]"), True),
        (("Ms-Exch-SMTP-Accept-Any-Recipient]", "Ms-Exch-SMTP-Accept-Any-Recipient, ms-Exch-Bypass-Anti-Spam]"), True),
    ],
)  # fmt: skip
def test_taken_away_rights_end_at_the_next_mail(change: tuple[str, str], goes_on: bool) -> None:
    client = Client(article()).ready()
    newer = article(_ARTICLE.replace(*change))
    decision = client.says("MAIL FROM:<a@contoso.com>", policy=newer)
    assert (decision.reply is replies.SENDER_OK) is goes_on
    assert (decision.next is Next.CLOSE) is not goes_on


def test_a_message_begun_before_the_change_is_finished() -> None:
    client = Client(article()).ready()
    client.says("MAIL FROM:<a@contoso.com>")
    newer = article(_ARTICLE.replace("[127.0.0.10, 127.0.0.11]", "[127.0.0.11]"))
    assert client.says("RCPT TO:<b@fabrikam.com>", policy=newer).reply is replies.RECIPIENT_OK


def test_an_expired_range_is_gone_and_the_next_change_is_told() -> None:
    text = _ARTICLE.replace(
        "[127.0.0.10, 127.0.0.11]", "[127.0.0.10, {range: 127.0.0.12, expires_at: 2026-11-30T12:00:00Z}]"
    )
    ends = 1_796_040_000.0
    before, after = article(text, now=ends - 1), article(text, now=ends)
    assert before.next_change == ends
    assert after.next_change is None
    assert Client(before, "127.0.0.12").session.trace.connector == "Anonymous Relay"
    assert Client(after, "127.0.0.12").session.trace.connector == "Default Frontend"


# --- outcomes and interruptions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "text", "next_"),
    [
        (
            Stored(7, "<m@x>"),
            "250 2.6.0 <m@x> [InternalId=7, Hostname=mx1.contoso.com] Queued",
            Next.READ_LINE,
        ),
        (NotStored("full"), "452 4.3.1 Insufficient system resources", Next.READ_LINE),
        (NotStored("trouble"), "451 4.3.0", Next.READ_LINE),
        (TimedOut("idle"), "451 4.7.0 Timeout waiting for client input", Next.CLOSE),
        (TimedOut("session"), "421 4.4.1 Connection timed out", Next.CLOSE),
        (Interrupted("draining"), "421 4.3.2", Next.CLOSE),
        (Interrupted("blocked"), "421 4.3.2", Next.CLOSE),
        (Failed("E-17"), "421 4.3.0 Temporary server error, reference E-17", Next.CLOSE),
    ],
)
def test_what_happens_to_a_session_has_its_reply(event: Event, text: str, next_: Next) -> None:
    client = Client(article()).ready()
    client.sends()
    decision = client.happens(event)
    assert decision.reply is not None
    assert decision.reply.text.startswith(text)
    assert decision.next is next_


def test_a_full_spool_refuses_before_data_is_taken() -> None:
    client = Client(article()).ready()
    assert (
        client.says("MAIL FROM:<a@contoso.com>", pressure=Pressure.FULL).reply
        is replies.INSUFFICIENT_RESOURCES
    )
    client.says("MAIL FROM:<a@contoso.com>", "RCPT TO:<b@contoso.com>")
    assert client.says("DATA", pressure=Pressure.FULL).reply is replies.INSUFFICIENT_RESOURCES
    assert client.says("BDAT 5 LAST", pressure=Pressure.FULL).next is Next.SKIP_CHUNK


def test_a_disk_in_trouble_is_another_answer() -> None:
    client = Client(article()).ready()
    decision = client.says("MAIL FROM:<a@contoso.com>", pressure=Pressure.TROUBLE)
    assert decision.reply is replies.NOT_STORED


def test_a_queue_that_fills_slows_mail_and_nothing_else() -> None:
    client = Client(article()).ready()
    assert client.says("NOOP", fill=0.9).delay_s == 0
    assert client.says("MAIL FROM:<a@contoso.com>", fill=0.79).delay_s == 0
    client.says("RSET")
    decision = client.says("MAIL FROM:<a@contoso.com>", fill=0.9)
    assert (decision.reply, decision.delay_s) == (replies.SENDER_OK, 35)
    assert client.says("RCPT TO:<b@fabrikam.com>", fill=0.9).delay_s == 0


def test_a_source_connects_as_often_as_the_rate_lets_it() -> None:
    text = _ARTICLE.replace(
        "  - name: Anonymous Relay\n", "  - name: Anonymous Relay\n    connection_rate_limit: 1\n"
    )
    first = Client(article(text)).happens(Connected())
    (charge,) = first.charges
    assert (charge.limit, charge.key) == (Limit.CONNECTIONS, "127.0.0.10")
    again = Client(article(text)).happens(Connected(), connections=charge.state)
    assert again.reply == replies.too_many_from_source("mx1.contoso.com")
    assert again.next is Next.CLOSE
    later = Client(article(text)).happens(Connected(), connections=charge.state, now=NOW + 60)
    assert later.next is Next.READ_LINE


def test_the_host_takes_so_many_connections_a_minute_and_keeps_a_fifth_for_listed_hosts() -> None:
    arrivals: float | None = None
    taken = {"127.0.0.99": 0, "127.0.0.10": 0}
    for remote in taken:
        for _ in range(10):
            decision = Client(article(), remote).happens(
                Connected(), arrivals_per_minute=10, arrivals=arrivals
            )
            if decision.next is Next.CLOSE:
                assert decision.reply is replies.TOO_MANY_CONNECTIONS
                break
            taken[remote] += 1
            (charge,) = decision.charges
            assert (charge.limit, charge.connector, charge.key) == (Limit.ARRIVALS, "", "")
            arrivals = charge.state
    assert taken == {"127.0.0.99": 8, "127.0.0.10": 2}
    later = {"arrivals_per_minute": 10, "arrivals": arrivals, "now": NOW + 6}
    assert Client(article(), "127.0.0.10").happens(Connected(), **later).next is Next.READ_LINE


@pytest.mark.parametrize(
    ("remote", "is_counted"), [("fe80::1", False), ("fec0::1", False), ("2001:db8::1", True)]
)
def test_limits_per_source_count_global_addresses_only(remote: str, *, is_counted: bool) -> None:
    limits = "connection_rate_limit: 1\n    message_rate_limit: 1\n    recipient_rate_limit: 1"
    text = _ARTICLE.replace("0.0.0.0:25", "[::]:25").replace("127.0.0.10", "'fe80::/9', '2001:db8::/32'")
    text = text.replace("  - name: Anonymous Relay\n", f"  - name: Anonymous Relay\n    {limits}\n")
    client = Client(article(text), remote, local="::1")
    connected = client.happens(Connected(), source_open=4999, connections=NOW + 60)
    assert (connected.next is Next.CLOSE) is is_counted
    client = Client(article(text), remote, local="::1").ready()
    sender = client.says("MAIL FROM:<a@contoso.com>", messages=None if is_counted else NOW + 60)
    assert bool(sender.charges) is is_counted
    recipient = client.says("RCPT TO:<b@fabrikam.com>", recipients=None if is_counted else NOW + 60)
    assert recipient.reply is replies.RECIPIENT_OK
    assert bool(recipient.charges) is is_counted


@pytest.mark.parametrize(
    "line",
    [b"BDAT 5\tLAST", b"BDAT\t5 LAST", b" BDAT 5 LAST", b"bdat 5 LAST\0", b"BDAT 5 LAST\r", b"BDAT 5 LAST\xff",
     b"BDAT5", b"BDAT \xff"],
)  # fmt: skip
def test_a_bdat_that_cannot_be_read_is_the_last_line(line: bytes) -> None:
    decision = Client(article()).ready().happens(Line(line))
    assert (decision.reply, decision.next) == (replies.INVALID_ARGUMENTS, Next.CLOSE)


def test_a_bdat_that_is_too_long_for_a_line_is_the_last_one() -> None:
    decision = Client(article()).ready().happens(LineTooLong(b"BDAT 5          "))
    assert (decision.reply, decision.next) == (replies.INVALID_ARGUMENTS, Next.CLOSE)
    assert Client(article()).ready().happens(LineTooLong(b"NOOP            ")).next is Next.READ_LINE
    assert Client(article()).ready().happens(Line(b"BDATA 5\t")).next is Next.READ_LINE


def test_a_message_is_refused_that_says_it_is_larger_than_the_room_that_is_left() -> None:
    client = Client(article()).ready()
    decision = client.says("MAIL FROM:<a@contoso.com> SIZE=1001", free=1000)
    assert decision.reply is replies.INSUFFICIENT_RESOURCES
    assert client.says("MAIL FROM:<a@contoso.com> SIZE=1000", free=1000).reply is replies.SENDER_OK


def test_a_stored_envelope_carries_what_delivery_needs() -> None:
    decision = Client(article()).ready().sends(b"Subject: \xc3\xa4\r\n\r\n.\r\n")
    assert decision.argument == Envelope(
        connector="Anonymous Relay",
        principal=r"NT AUTHORITY\ANONYMOUS LOGON",
        client="127.0.0.10",
        helo="x",
        mail_from="a@contoso.com",
        recipients=("b@fabrikam.com",),
        eight_bit=True,
    )


def test_each_message_of_a_session_has_its_own_id() -> None:
    client = Client(article()).ready()
    seen = set()
    for number in range(3):
        rules = client.says("MAIL FROM:<a@contoso.com>", "RCPT TO:<b@fabrikam.com>", "DATA").argument
        assert isinstance(rules, ContentRules)
        seen.add(rules.add_message_id)
        client.happens(Stored(number, ""))
    assert len(seen) == 3


def test_a_mapped_client_is_the_listed_client() -> None:
    remote = Endpoint(parse_address("::ffff:127.0.0.10"), 50000)
    session = Session(article(), local=endpoint("127.0.0.1:25"), remote=remote, session_id="5E55")
    assert session.trace.range == session.client == "127.0.0.10"


# --- traces, charges, tolerances -------------------------------------------------------------------------------


def test_a_trace_names_connector_range_principal_right_and_source() -> None:
    client = Client(article()).ready()
    client.says("MAIL FROM:<a@contoso.com>")
    granted = client.says("RCPT TO:<b@fabrikam.com>").trace
    assert granted == (
        "Anonymous Relay",
        "127.0.0.10",
        r"NT AUTHORITY\ANONYMOUS LOGON",
        "ms-Exch-SMTP-Accept-Any-Recipient",
        "explicit",
        r"NT AUTHORITY\ANONYMOUS LOGON may send to any recipient",
    )
    other = Client(article(), "127.0.0.99").ready()
    other.says("MAIL FROM:<a@contoso.com>")
    refused = other.says("RCPT TO:<b@fabrikam.com>").trace
    assert refused[:2] == ("Default Frontend", "0.0.0.0-255.255.255.255")
    assert refused.source == "not granted"


@pytest.mark.parametrize(
    ("source", "limits"),
    [("IPAddress", {Limit.MESSAGES}), ("None", set()), ("User", set()), ("All", {Limit.MESSAGES})],
)
def test_the_rate_source_says_what_a_message_is_charged_to(source: str, limits: set[Limit]) -> None:
    settings = f"message_rate_limit: 5\n    message_rate_source: {source}"
    text = _ARTICLE.replace("  - name: Anonymous Relay\n", f"  - name: Anonymous Relay\n    {settings}\n")
    decision = Client(article(text)).ready().says("MAIL FROM:<a@contoso.com>")
    assert {charge.limit for charge in decision.charges} == limits
    assert all(
        charge.key == "127.0.0.10" and charge.connector == "Anonymous Relay" for charge in decision.charges
    )


@pytest.mark.parametrize(
    ("line", "bare_lf", "names"),
    [
        ("EHLO", False, ("hello_without_name",)),
        ("HELO scanner 3rd floor", False, ("hello_with_odd_name",)),
        ("MAIL FROM: <a@contoso.com>", False, ("space_before_path",)),
        ("MAIL FROM:a@contoso.com", False, ("path_without_brackets",)),
        ("NOOP", True, ("bare_lf_line",)),
        ("MAIL FROM: <a@contoso.com> AUTH=<>", False, ("space_before_path", "auth_parameter")),
        ("MAIL FROM:<a@contoso.com>", False, ()),
    ],
)
def test_what_is_let_pass_is_named(line: str, bare_lf: bool, names: tuple[str, ...]) -> None:
    client = Client(article()).ready()
    assert client.happens(Line(line.encode(), bare_lf)).tolerated == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"Date: x\r\nMessage-ID: <1@a>\r\n\r\n.\r\n", ()),
        (b"Message-ID: <1@a>\r\n\r\n.\r\n", ("missing_field",)),
        (b"Date: x\r\n\r\na\nb\r\n.\r\n", ("bare_line_end", "missing_field")),
        (b"Date: x\r\nMessage-ID: <1@a>\r\n\r\n" + b"x" * 999 + b"\r\n.\r\n", ("long_line",)),
    ],
)
def test_what_is_let_pass_in_a_message_is_named(text: bytes, names: tuple[str, ...]) -> None:
    assert Client(article()).ready().sends(text).tolerated == names


def test_an_old_tls_version_is_named() -> None:
    client = Client(article()).ready()
    assert client.happens(TlsStarted("TLSv1", "X")).tolerated == ("old_tls",)
    assert client.happens(TlsStarted("TLSv1.2", "X")).tolerated == ()


def test_a_logon_ends_with_a_line_end_that_is_not_tolerated() -> None:
    text = (CORPUS / "fleets" / "settings.yaml").read_text()
    text = text.replace("    max_logon_failures: 2\n", "    max_logon_failures: 2\n    tolerances: []\n")
    client = Client(article(text), "127.0.1.10").ready()
    assert client.says("AUTH LOGIN").reply is replies.USERNAME
    refused = client.happens(Line(b"c2Nhbm5lcg==", True))
    assert (refused.reply, refused.secret) == (replies.UNRECOGNIZED, True)
    assert client.says("NOOP").reply is replies.OK


def test_a_source_that_keeps_guessing_is_answered_before_anything_is_checked() -> None:
    text = (CORPUS / "fleets" / "settings.yaml").read_text()
    client = Client(article(text), "127.0.1.10").ready()
    decision = client.says("AUTH LOGIN", logon_failures=NOW + 60)
    assert decision.reply is replies.TOO_MANY_LOGON_FAILURES
    assert client.says("AUTH LOGIN", logon_failures=NOW + 30).reply is replies.USERNAME


def test_nothing_of_a_logon_is_for_the_log() -> None:
    text = (CORPUS / "fleets" / "settings.yaml").read_text()
    client = Client(article(text), "127.0.1.10").ready()
    for line in ("AUTH LOGIN", "c2Nhbm5lcg==", "M2Y5YzJkNmE4MWI1NGUwNw=="):
        assert client.says(line).secret
