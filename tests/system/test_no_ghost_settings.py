"""Every stored field changes something that can be observed: the test walks the models, so a new field fails it.

Each field has two values and an observation that must differ between them: a dialogue acted out by `Session`, what a
server is rendered, a finding, a TLS context. Send connectors: test_no_ghost_send_settings.py.
"""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest
import trustme
from pydantic import BaseModel

from gatepost.documents import dump_document, validate
from gatepost.policy.analysis.document_tests import run_tests
from gatepost.policy.analysis.lint import lint
from gatepost.policy.analysis.rehearsal import Rehearsal
from gatepost.policy.analysis.sides import Side
from gatepost.policy.dialogue.compiled import Policy, compile_policy
from gatepost.policy.dialogue.content import Content
from gatepost.policy.dialogue.events import ContentEnded
from gatepost.policy.dialogue.headers import ContentRules
from gatepost.policy.dialogue.session import Session
from gatepost.policy.model.bundle import Server, canonical_bytes, render
from gatepost.policy.model.connector import Permission, RangeEntry, ReceiveConnector
from gatepost.policy.model.document import AcceptedDomain, DialogueTest, FleetDocument
from gatepost_agent.counters import Counters
from gatepost_agent.devices import Devices
from gatepost_agent.protocol_log import ProtocolLog
from gatepost_agent.smtp.account import Account, Books
from gatepost_agent.smtp.certificates import Certificates
from tests.support.corpus import USERS, endpoint
from tests.support.smtp import ANY_RECIPIENT

NOW = 1_780_000_000.0
MX1 = Server("mx1", {"site": "fra"})
RELAY: dict[str, Any] = {
    "name": "Relay",
    "bindings": ["0.0.0.0:25"],
    "remote_ip_ranges": ["127.0.0.1"],
    "permission_groups": ["AnonymousUsers"],
    "permissions": ANY_RECIPIENT,
    "tls_certificate_name": "relay.pem",
}
OUT: dict[str, Any] = {
    "name": "Out",
    "address_spaces": ["*"],
    "smart_hosts": ["a.contoso.net", "b.contoso.net"],
}


def fleet(*, relay: dict[str, Any] | None = None, **parts: Any) -> FleetDocument:
    given = {
        "accepted_domains": [{"domain": "contoso.com"}],
        "connectors": [RELAY | (relay or {})],
        "send_connectors": [OUT],
    }
    document: FleetDocument = validate(given | parts)
    return document


def policy(document: FleetDocument) -> Policy:
    return compile_policy(render(document, MX1, USERS), addresses={}, fqdn="mx1.contoso.com", now=NOW)


def said(document: FleetDocument, octets: str) -> tuple[object, ...]:
    """Everything a client hears to these octets, with delays, charges and envelopes."""
    rehearsal = Rehearsal(
        policy(document), local=endpoint("127.0.0.1:25"), remote=endpoint("127.0.0.1"), now=NOW
    )
    rehearsal.connect()
    if not rehearsal.closed:
        rehearsal.send(octets.encode())
    return tuple((x.decision.reply, x.decision.delay_s, x.decision.charges) for x in rehearsal.exchanges)


Observe = Callable[[FleetDocument], object]


def hears(*lines: str) -> Observe:
    return lambda document: said(document, "".join(f"{line}\r\n" for line in lines))


def connects(**usage: Any) -> Observe:
    """The greeting when others' sessions are open."""

    def observe(document: FleetDocument) -> object:
        local, remote = endpoint("127.0.0.1:25"), endpoint("127.0.0.1")
        rehearsal = Rehearsal(policy(document), local=local, remote=remote, now=NOW)
        rehearsal.usage = rehearsal.usage._replace(**usage)
        rehearsal.connect()
        return rehearsal.last.reply

    return observe


def envelope(document: FleetDocument) -> object:
    """What is carried to the spool with a message."""
    rehearsal = Rehearsal(
        policy(document), local=endpoint("127.0.0.1:25"), remote=endpoint("127.0.0.1"), now=NOW
    )
    rehearsal.connect()
    rehearsal.send("".join(f"{line}\r\n" for line in (*_MAIL, "DATA")).encode())
    ended = Content(ContentRules()).feed(b"Subject: x\r\n\r\n.\r\n").ended
    assert ended is not None
    return rehearsal.session.step(ContentEnded(ended), rehearsal.usage).argument


def shown(document: FleetDocument) -> object:
    return dump_document(document)


def rendered(document: FleetDocument) -> object:
    return canonical_bytes(render(document, MX1, USERS))


def traced(document: FleetDocument) -> object:
    """What is told of who took the client."""
    rehearsal = Rehearsal(
        policy(document), local=endpoint("127.0.0.1:25"), remote=endpoint("127.0.0.1"), now=NOW
    )
    rehearsal.connect()
    return rehearsal.last.trace


def warned(document: FleetDocument) -> object:
    """The findings about it beside a front end on the same port."""
    other = RELAY | {"name": "Front end", "remote_ip_ranges": ["127.0.0.9"]}
    both = (*document.connectors, *fleet(relay=other).connectors)
    side = Side(document.model_copy(update={"connectors": both}), (MX1,), now=NOW)
    return [finding.rule for finding in lint(side)]


def protocol_rows(document: FleetDocument) -> object:
    """Whether a session is written to the protocol log."""
    log = ProtocolLog(Path("unused"), server="mx1", clock=lambda: NOW)
    books = Books(create_autospec(Counters, instance=True), Devices(lambda: NOW), log)
    local, remote = endpoint("127.0.0.1:25"), endpoint("127.0.0.1")
    Account(books, Session(policy(document), local=local, remote=remote, session_id="5E55"), NOW)
    return log.take()


def bindings(document: FleetDocument) -> object:
    return policy(document).bindings


def clocks(document: FleetDocument) -> object:
    """What the shell's timers are set to (that they end sessions: tests/agent/smtp/test_conversation.py)."""
    door = policy(document).connectors["Relay"]
    return door.session_s, door.idle_s


def tls(document: FleetDocument) -> object:
    context = _context(document.connectors[0])
    return context.minimum_version, sorted(cipher["name"] for cipher in context.get_ciphers())


_PEM: dict[str, Path] = {}


@pytest.fixture(autouse=True, scope="module")
def _certificate(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("config") / "relay.pem"
    trustme.CA().issue_cert("mx1.contoso.com").private_key_and_cert_chain_pem.write_to_path(str(path))
    _PEM["relay.pem"] = path


def _context(connector: ReceiveConnector) -> ssl.SSLContext:
    return asyncio.run(Certificates(lambda name: _PEM[name]).context(connector))


_MAIL = ("EHLO x", "MAIL FROM:<a@contoso.com>", "RCPT TO:<b@fabrikam.com>")
_MESSAGE = (*_MAIL, "DATA", "Subject: x", "", "text", ".")
_HOPS = (
    *_MAIL,
    "DATA",
    "Received: from a by mx1.contoso.com",
    "Received: from b by mx1.contoso.com",
    "",
    ".",
)
_LOGIN = ("EHLO x", "AUTH PLAIN AHNjYW5uZXIAd3Jvbmc=", "AUTH PLAIN AHNjYW5uZXIAd3Jvbmc=")
_BASIC = {"auth_mechanism": ["BasicAuth"], "permission_groups": ["AnonymousUsers", "ExchangeUsers"]}
_UTF8 = ("EHLO x", "MAIL FROM:<ä@contoso.com> SMTPUTF8")

# field -> (settings beside it, one value, another value, what differs)
CONNECTOR: dict[str, tuple[dict[str, Any], Any, Any, Observe]] = {
    "name": ({}, "Relay", "Relay 2", traced),
    "comment": ({}, "", "3rd floor", shown),
    "enabled": ({}, True, False, hears()),
    "servers": ({}, ["site=fra"], ["site=ber"], rendered),
    "transport_role": ({}, "FrontendTransport", "HubTransport", warned),
    "bindings": ({}, ["0.0.0.0:25"], ["0.0.0.0:26"], bindings),
    "remote_ip_ranges": ({}, ["127.0.0.1"], ["127.0.0.2"], hears()),
    "fqdn": ({}, None, "door.contoso.com", hears("HELO x")),
    "banner": ({}, "", "220 door", hears()),
    "permission_groups": ({}, ["AnonymousUsers"], [], hears(*_MAIL)),
    "permissions": ({}, ANY_RECIPIENT, [], hears(*_MAIL)),
    "allowed_sender_domains": ({}, [], ["fabrikam.com"], hears(*_MAIL)),
    "allowed_recipient_domains": ({}, [], ["contoso.com"], hears(*_MAIL)),
    "auth_mechanism": ({}, ["Tls"], ["BasicAuth"], hears("EHLO x")),
    "require_tls": ({}, False, True, hears(*_MAIL)),
    "tls_certificate_name": ({}, None, "relay.pem", hears("EHLO x")),
    "tls_minimum_version": ({}, "1.2", "1.0", tls),
    "tls_ciphers": ({}, "", "ECDHE-RSA-AES128-GCM-SHA256", tls),
    "connection_timeout": ({}, "00:10:00", "00:20:00", clocks),
    "connection_inactivity_timeout": ({}, "00:05:00", "00:06:00", clocks),
    "max_inbound_connection": ({}, 5000, 3, connects(connector_open=3)),
    "max_inbound_connection_per_source": ({}, 20, 2, connects(connector_open=2, source_open=2)),
    "max_inbound_connection_percentage_per_source": ({}, 2, 1, connects(connector_open=4000, source_open=15)),
    "message_rate_limit": ({}, "unlimited", 1, hears(*_MAIL, "RSET", _MAIL[1])),
    "message_rate_source": ({"message_rate_limit": 1}, "IPAddress", "None", hears(*_MAIL, "RSET", _MAIL[1])),
    "connection_rate_limit": ({}, "unlimited", 1, hears()),
    "recipient_rate_limit": ({}, "unlimited", 1, hears(*_MAIL, _MAIL[2])),
    "max_recipients_per_message": ({}, 200, 1, hears(*_MAIL, _MAIL[2])),
    "max_message_size": ({}, "36MB", "64KB", hears("EHLO x")),
    "max_header_size": ({}, "256KB", "5B", hears(*_MESSAGE)),
    "max_hop_count": ({}, 60, 1, hears(*_HOPS)),
    "max_local_hop_count": ({}, 5, 1, hears(*_HOPS)),
    "max_protocol_errors": ({}, 5, 0, hears("FOO")),
    "max_logon_failures": (_BASIC, 3, 1, hears(*_LOGIN)),
    "tarpit_interval": ({}, "00:00:05", "00:00:01", hears("FOO")),
    "auth_tarpit_interval": (_BASIC, "00:00:05", "00:00:01", hears(*_LOGIN)),
    "size_enabled": ({}, "Enabled", "Disabled", hears("EHLO x")),
    "pipelining_enabled": ({}, True, False, hears("EHLO x")),
    "chunking_enabled": ({}, True, False, hears(*_MAIL, "BDAT 0 LAST")),
    "eight_bit_mime_enabled": ({}, True, False, hears("EHLO x", "MAIL FROM:<a@b.c> BODY=8BITMIME")),
    "smtp_utf8_enabled": ({}, True, False, hears(*_UTF8)),
    "enhanced_status_codes_enabled": ({}, True, False, hears("EHLO x")),
    "require_ehlo_domain": ({}, False, True, hears("EHLO")),
    "default_domain": ({}, None, "contoso.com", hears(*_MAIL[:2], "RCPT TO:<postmaster>")),
    "reject_reserved_top_level_recipient_domains": ({}, False, True, hears(*_MAIL[:2], "RCPT TO:<a@b.test>")),
    "reject_reserved_second_level_recipient_domains": (
        {}, False, True, hears(*_MAIL[:2], "RCPT TO:<a@example.com>")),
    "reject_single_label_recipient_domains": ({}, False, True, hears(*_MAIL[:2], "RCPT TO:<a@host>")),
    "bare_linefeed_rejection_enabled": ({}, False, True, hears(*_MAIL, "DATA", "a: b", "", "x\ny", ".")),
    "tolerances": ({}, ["long_line"], [], hears(*_MAIL, "DATA", "a: b", "", "x" * 999, ".")),
    "protocol_logging_level": ({}, "None", "Verbose", protocol_rows),
    "bounce_to": ({}, None, "postmaster@contoso.com", envelope),
}  # fmt: skip


def _differs(observe: Observe, one: FleetDocument, other: FleetDocument) -> None:
    assert observe(one) != observe(other)
    assert observe(one) == observe(one), "the observation itself must be steady"


@pytest.mark.parametrize("field", ReceiveConnector.model_fields)
def test_every_setting_of_a_receive_connector_does_something(field: str) -> None:
    beside, one, other, observe = CONNECTOR[field]
    _differs(observe, *(fleet(relay=beside | {field: value}) for value in (one, other)))


def _range(**fields: Any) -> FleetDocument:
    return fleet(relay={"remote_ip_ranges": [{"range": "127.0.0.1"} | fields]})


_DENIED = ANY_RECIPIENT[0] | {"deny": True}
_DENY_OURS = {
    "principal": "S-1-5-7",
    "rights": ["ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"],
    "deny": True,
}
_SHARED = [{"domain": "contoso.com", "type": "internal_relay"}]
_WITH_BELOW = [{"domain": "contoso.com", "match_sub_domains": True}]
_BELOW = hears(*_MAIL[:2], "RCPT TO:<a@sub.contoso.com>")
_NO_RELAY: dict[str, Any] = {"permissions": []}


def _rows(*rows: dict[str, Any]) -> FleetDocument:
    return fleet(relay={"permissions": list(rows)})


PARTS: list[tuple[type[BaseModel], str, FleetDocument, FleetDocument, Observe]] = [
    (RangeEntry, "range", _range(), _range(range="127.0.0.2"), hears()),
    (RangeEntry, "note", _range(), _range(note="scanner"), shown),
    (RangeEntry, "expires_at", _range(), _range(expires_at="2020-01-01T00:00:00Z"), hears()),
    (Permission, "principal", fleet(), _rows(ANY_RECIPIENT[0] | {"principal": "user:scanner"}), hears(*_MAIL)),
    (Permission, "rights", fleet(), _rows(ANY_RECIPIENT[0] | {"rights": ["ms-Exch-SMTP-Submit"]}), hears(*_MAIL)),
    (Permission, "deny", fleet(), _rows(_DENIED), hears(*_MAIL)),
    (Permission, "inherited", _rows(_DENIED, *ANY_RECIPIENT), _rows(_DENIED | {"inherited": True}, *ANY_RECIPIENT),
     hears(*_MAIL)),
    (AcceptedDomain, "domain", fleet(relay=_NO_RELAY),
     fleet(relay=_NO_RELAY, accepted_domains=[{"domain": "fabrikam.com"}]), hears(*_MAIL)),
    (AcceptedDomain, "type", _rows(_DENY_OURS),
     fleet(relay={"permissions": [_DENY_OURS]}, accepted_domains=_SHARED), hears(*_MAIL)),
    (AcceptedDomain, "match_sub_domains", fleet(relay=_NO_RELAY),
     fleet(relay=_NO_RELAY, accepted_domains=_WITH_BELOW), _BELOW),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "field", "one", "other", "observe"),
    PARTS,
    ids=[f"{part[0].__name__}.{part[1]}" for part in PARTS],
)
def test_every_part_of_a_connector_does_something(
    model: type[BaseModel], field: str, one: FleetDocument, other: FleetDocument, observe: Observe
) -> None:
    _differs(observe, one, other)


@pytest.mark.parametrize("model", [RangeEntry, Permission, AcceptedDomain])
def test_no_part_is_forgotten(model: type[BaseModel]) -> None:
    assert {field for of, field, *_ in PARTS if of is model} == model.model_fields.keys()


_TEST = {"name": "t", "server": "mx1", "remote": "127.0.0.1", "mail_from": "a@contoso.com", "rcpt_to": "b@fabrikam.com",
         "expect": "250 2.1.5"}  # fmt: skip
_TESTED: dict[str, tuple[dict[str, Any], Any]] = {
    "name": ({}, "u"),
    "server": ({}, "mx2"),
    "remote": ({}, "127.0.0.2"),
    "local": ({}, "127.0.0.1:26"),
    "helo": ({"relay": {"require_ehlo_domain": True}}, "not a name"),
    "mail_from": ({"relay": {"allowed_sender_domains": ["contoso.com"]}}, "a@fabrikam.com"),
    "rcpt_to": ({"relay": {"allowed_recipient_domains": ["fabrikam.com"]}}, "b@contoso.com"),
    "lines": ({}, ["EHLO x", "FOO"]),
    "tls": ({"relay": {"require_tls": True}}, True),
    "user": ({"relay": {"auth_mechanism": ["BasicAuth"]}}, "scanner"),
    "at": ({"relay": {"remote_ip_ranges": [{"range": "127.0.0.1", "expires_at": "2030-01-01T00:00:00Z"}]}},
           "2031-01-01T00:00:00Z"),
    "expect": ({}, "550"),
}  # fmt: skip


@pytest.mark.parametrize("field", DialogueTest.model_fields)
def test_every_field_of_a_test_changes_its_result(field: str) -> None:
    beside, other = _TESTED[field]
    changed = _TEST | {field: other}
    if field == "lines":
        changed = {key: value for key, value in changed.items() if key not in ("mail_from", "rcpt_to")}

    def results(test: dict[str, Any]) -> object:
        made = policy(fleet(tests=[test], **beside))
        return [
            (result.name, result.passed, result.got) for result in run_tests(made, made.bundle.tests, NOW)
        ]

    assert results(_TEST) != results(changed)
