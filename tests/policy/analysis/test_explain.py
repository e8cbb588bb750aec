"""Explain: what an operator asks, and what the session answered."""

import pytest

from gatepost.policy.analysis.circumstances import Circumstance
from gatepost.policy.analysis.explain import Explanation, Question, Verdict, explain, run_dialogue
from gatepost.policy.dialogue.compiled import Policy, compile_policy
from gatepost.policy.dialogue.denied import Denial, DeniedSet
from gatepost.policy.dialogue.rules.auth import verifier
from gatepost.policy.model.bundle import RelayUser, Server, render
from gatepost.policy.model.errors import BadValue
from tests.support.policies import ANONYMOUS_RELAY, FRONTEND, NOW, RELAY, document, policy

ASKED = Question(remote="192.168.5.10", mail_from="chris@contoso.com", rcpt_to=("kate@fabrikam.com",))
CERTIFICATE = {"tls_certificate_name": "mx1"}
CLIENTS = {
    "name": "Clients",
    "bindings": ["0.0.0.0:587"],
    "remote_ip_ranges": ["10.0.0.0/8"],
    "permission_groups": ["ExchangeUsers"],
    "auth_mechanism": ["Tls", "BasicAuth", "BasicAuthRequireTLS"],
    **CERTIFICATE,
}


def ask(found: Policy, **changed: object) -> Explanation:
    return explain(found, ASKED._replace(**changed), now=NOW)  # type: ignore[arg-type]


def with_user() -> Policy:
    user = RelayUser(name="Scanner", verifier=verifier(b"s" * 16, b"x"), senders=("scan@contoso.com",))
    rendered = render(document(CLIENTS, FRONTEND), Server("mx1"), [user])
    return compile_policy(rendered, addresses={}, fqdn="mx1.contoso.com", now=NOW)


def test_a_listed_printer_relays_and_the_answer_says_why() -> None:
    answer = ask(policy(), server="mx1")
    assert answer.verdict is Verdict.ACCEPTED
    assert answer.reply == "250 2.1.5 Recipient OK"
    assert (answer.server, answer.connector, answer.range) == ("mx1", "Anonymous Relay", "192.168.5.10")
    assert answer.principal == r"NT AUTHORITY\ANONYMOUS LOGON"
    assert [step.line for step in answer.steps] == [
        "",
        "EHLO test",
        "MAIL FROM:<chris@contoso.com>",
        "RCPT TO:<kate@fabrikam.com>",
    ]
    assert (answer.steps[-1].right, answer.steps[-1].source) == (
        "ms-Exch-SMTP-Accept-Any-Recipient",
        "explicit",
    )
    assert {(held.right, held.source) for held in answer.rights} == {
        ("ms-Exch-Accept-Headers-Routing", "group:AnonymousUsers"),
        ("ms-Exch-SMTP-Accept-Any-Recipient", "explicit"),
        ("ms-Exch-SMTP-Accept-Any-Sender", "group:AnonymousUsers"),
        ("ms-Exch-SMTP-Accept-Authoritative-Domain-Sender", "group:AnonymousUsers"),
        ("ms-Exch-SMTP-Submit", "group:AnonymousUsers"),
    }


def test_anyone_else_is_refused_after_the_tarpit() -> None:
    answer = ask(policy(), remote="192.168.5.99")
    assert answer.verdict is Verdict.REFUSED
    assert answer.reply == "550 5.7.1 Unable to relay"
    assert answer.range == "0.0.0.0-255.255.255.255"
    assert answer.steps[-1].delay_s == 5
    assert answer.steps[-1].source == "not granted"


def test_a_right_that_does_nothing_here_says_so() -> None:
    secured = RELAY | {
        "auth_mechanism": ["ExternalAuthoritative"],
        "permission_groups": ["ExchangeServers"],
        "permissions": [],
    }
    effects = {held.right: held.effect for held in ask(policy(secured)).rights}
    assert len(effects) == 9
    assert {right for right, effect in effects.items() if effect} == {
        "ms-Exch-SMTP-Accept-Authentication-Flag",
        "ms-Exch-SMTP-Accept-Exch50",
        "ms-Exch-Bypass-Anti-Spam",
    }
    assert set(effects.values()) == {"", "none here"}


def test_a_denying_entry_is_shown_as_such() -> None:
    denying = RELAY | {"permissions": [ANONYMOUS_RELAY, ANONYMOUS_RELAY | {"deny": True}]}
    answer = ask(policy(denying))
    assert answer.verdict is Verdict.REFUSED
    assert answer.steps[-1].source == "deny explicit"
    assert [held.deny for held in answer.rights if held.right.endswith("Any-Recipient")] == [True]


def test_raw_lines_are_said_as_they_are_and_a_body_goes_through_content() -> None:
    lines = ("EHLO", "MAIL FROM: chris@contoso.com", "RCPT TO:<kate@fabrikam.com>", "DATA")
    body = ("Subject: Test", "", "..two dots", ".", "NOOP")
    answer = ask(policy(), lines=(*lines, *body))
    assert [step.line for step in answer.steps] == ["", *lines, ".", "NOOP"]
    assert answer.steps[-2].reply.startswith("250 2.6.0 <")
    assert "[InternalId=0, Hostname=mx1.contoso.com]" in answer.steps[-2].reply


def test_a_body_that_is_refused_gives_the_refusal() -> None:
    small = RELAY | {"max_message_size": "64KB", "max_header_size": "1KB"}
    lines = ("EHLO x", "MAIL FROM:<>", "RCPT TO:<a@fabrikam.com>", "DATA")
    large = ask(policy(small), lines=(*lines, "Subject: x", "", *["x" * 900] * 80, "."))
    assert large.reply == "552 5.3.4 Message size exceeds fixed maximum message size"
    overlong = ask(policy(small), lines=(*lines, *["X-Long: " + "x" * 900] * 3, "", ".", "NOOP"))
    assert overlong.reply == "552 5.3.4 Header size exceeds fixed maximum size"
    assert overlong.steps[-1].line == "."


def test_chunks_are_cut_from_the_stream() -> None:
    lines = (
        "EHLO x",
        "MAIL FROM:<>",
        "RCPT TO:<a@fabrikam.com>",
        "BDAT 13",
        "Subject: abc",
        "BDAT 7 LAST",
        "",
        "hi!",
        "NOOP",
    )
    answer = ask(policy(), lines=lines)
    told = [(step.line, step.reply.partition(" ")[0]) for step in answer.steps[4:]]
    assert told == [("BDAT 13", "250"), ("", "500"), ("BDAT 7 LAST", "250"), ("NOOP", "250")]


def test_chunks_of_a_refused_bdat_are_never_commands() -> None:
    answer = ask(policy(), lines=("EHLO x", "BDAT 6 LAST", "QUIT", "NOOP"))
    assert [step.line for step in answer.steps] == ["", "EHLO x", "BDAT 6 LAST", "NOOP"]
    assert answer.steps[2].reply == "503 5.5.2 Need mail command"


def test_chunks_are_forgotten_with_their_transaction() -> None:
    again = ("MAIL FROM:<>", "RCPT TO:<a@fabrikam.com>", "BDAT 8 LAST", "Sub: x", "NOOP")
    lines = ("EHLO x", "MAIL FROM:<>", "RCPT TO:<a@fabrikam.com>", "BDAT 5", "abc", "RSET", *again)
    assert [step.reply[:3] for step in ask(policy(), lines=lines).steps[4:]] == ["250"] * 6


def test_what_comes_after_the_end_is_lost() -> None:
    answer = ask(policy(), lines=("QUIT", "NOOP"))
    assert [step.line for step in answer.steps] == ["", "QUIT"]


def test_without_the_sender_right_the_recipient_is_not_asked_for() -> None:
    ours = RELAY | {"allowed_sender_domains": ["contoso.com"]}
    answer = ask(policy(ours), mail_from="mallory@evil.net")
    assert answer.reply.startswith("550 5.7.1 Anonymous client does not have permissions")
    assert answer.steps[-1].line == "MAIL FROM:<mallory@evil.net>"


def test_no_connector_for_the_client_closes_with_554() -> None:
    answer = ask(policy(RELAY), remote="10.99.0.1")
    assert (answer.verdict, answer.connector) == (Verdict.REFUSED, "")
    assert answer.reply == "554 5.7.1 No service for this address"


def test_tls_is_acted_out_and_refused_where_it_is_not_offered() -> None:
    assert ask(policy(), tls=True).reply == "502 5.3.3 Command not implemented"
    answer = ask(policy(RELAY | CERTIFICATE | {"require_tls": True}), tls=True)
    assert answer.verdict is Verdict.ACCEPTED
    assert [step.line for step in answer.steps[1:4]] == ["EHLO test", "STARTTLS", "EHLO test"]
    assert "STARTTLS" in answer.steps[1].reply
    assert "STARTTLS" not in answer.steps[3].reply


def test_a_relay_user_is_acted_out_without_a_secret() -> None:
    found = with_user()
    answer = ask(
        found, remote="10.0.0.1", local="0.0.0.0:587", mail_from="scan@contoso.com", tls=True, user="scanner"
    )
    assert answer.verdict is Verdict.ACCEPTED
    assert answer.principal == "user:scanner"
    assert "AUTH LOGIN ***" in [step.line for step in answer.steps]
    unknown = ask(found, remote="10.0.0.1", local="0.0.0.0:587", tls=True, user="nobody")
    assert unknown.reply == "535 5.7.3 Authentication unsuccessful"
    in_clear = ask(found, remote="10.0.0.1", local="0.0.0.0:587", user="scanner")
    assert in_clear.reply == "504 5.7.4 Unrecognized authentication type"


def test_secrets_that_were_typed_are_not_repeated() -> None:
    lines = ("EHLO x", "STARTTLS", "EHLO x", "AUTH PLAIN AHNjYW5uZXIAeA==", "RSET")
    answer = ask(with_user(), remote="10.0.0.1", local="0.0.0.0:587", lines=lines)
    assert answer.steps[-2].line == "AUTH PLAIN ***"
    assert answer.steps[-2].reply == "235 2.7.0 Authentication successful"
    asked = ("EHLO x", "STARTTLS", "EHLO x", "AUTH LOGIN", "c2Nhbm5lcg==", "eA==")
    said = [step.line for step in ask(with_user(), remote="10.0.0.1", local="0.0.0.0:587", lines=asked).steps]
    assert said[-3:] == ["AUTH LOGIN", "***", "***"]


def test_a_rate_shows_after_as_many_messages_as_on_a_host() -> None:
    slow = RELAY | {"message_rate_limit": 2}
    answer = ask(policy(slow), lines=("EHLO x", *["MAIL FROM:<>", "RSET"] * 4))
    assert answer.reply.startswith("421 4.4.2 Message submission rate")
    assert len(answer.steps) == 2 + 2 * 2 + 1
    assert answer.verdict is Verdict.DEFERRED


def test_the_denied_set_is_part_of_the_answer() -> None:
    denied = DeniedSet([Denial("192.168.5.0/24", "no_relay", "rollback")])
    answer = explain(policy(), ASKED, now=NOW, denied=denied)
    assert answer.reply == "550 5.7.1 Unable to relay"
    assert answer.reason == "denied relay: 192.168.5.0/24 (rollback)"


def test_a_question_about_another_time_sees_ranges_expire() -> None:
    temporary = {"range": "192.168.5.10", "expires_at": "2023-11-15T00:00:00Z"}
    found = policy(FRONTEND, RELAY | {"remote_ip_ranges": [temporary]})
    expires = 1700006400
    assert ask(found, at=expires - 1).connector == "Anonymous Relay"
    assert ask(found, at=expires).connector == "Default Frontend"
    assert ask(found.at(expires + 5), at=expires - 1).connector == "Anonymous Relay"
    assert found.at(expires - 1) is found


def test_where_nothing_listens_no_reply_is_made_up() -> None:
    found = policy()
    for changed in ({"remote": "2001:db8::1"}, {"local": "0.0.0.0:587"}):
        answer = ask(found, **changed)
        assert (answer.verdict, answer.reply, answer.steps) == (Verdict.NOT_LISTENING, "", ())
        assert answer.reason
    with pytest.raises(BadValue, match="no binding of this server takes IPv6"):
        run_dialogue(found, ASKED._replace(remote="::1"), now=NOW)


def test_the_local_address_is_the_only_one_or_that_of_port_25() -> None:
    both = [RELAY, RELAY | {"name": "Other", "bindings": ["0.0.0.0:587"]}]
    assert ask(policy(*both)).local == "0.0.0.0:25"
    assert ask(policy(both[1])).local == "0.0.0.0:587"
    specific = [RELAY, RELAY | {"name": "Other", "bindings": ["{internal}:25"]}]
    named = policy(*specific, addresses={"internal": "10.1.1.1"})
    assert ask(named).connector == "Anonymous Relay"
    assert ask(named, local="{internal}:25").connector == "Other"
    several = [RELAY | {"bindings": ["10.1.1.1:2525", "10.1.1.2:2525"]}]
    with pytest.raises(BadValue, match=r"10\.1\.1\.1:2525, 10\.1\.1\.2:2525"):
        ask(policy(*several))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"remote": "printer"}, "not an IP address"),
        ({"local": "[::]:25"}, "192.168.5.10 cannot reach it"),
        ({"local": "{internal}:25"}, "no address of this name"),
        ({"local": "here"}, "needs a port"),
    ],
)
def test_a_question_about_no_possible_client_is_refused(changed: dict[str, str], problem: str) -> None:
    with pytest.raises(BadValue, match=problem):
        ask(policy(), **changed)


def test_an_answer_is_plain_values() -> None:
    plain = ask(policy()).model_dump(mode="json")
    assert plain["verdict"] == "accepted"
    assert plain["steps"][-1]["line"] == "RCPT TO:<kate@fabrikam.com>"
    assert Explanation.model_validate(plain) == ask(policy())


@pytest.mark.parametrize(
    ("when", "reply", "reason"),
    [
        (Circumstance.CONNECTOR_FULL, "421 4.3.2 The maximum", "max_inbound_connection is reached"),
        (Circumstance.SOURCE_FULL, "421 4.3.2 The maximum", "max_inbound_connection_per_source is reached"),
        (Circumstance.SPOOL_FULL, "452 4.3.1", "the spool has no room"),
        (Circumstance.DISK_TROUBLE, "451 4.3.0", "the spool's disk is in trouble"),
        (Circumstance.NOT_STORED, "451 4.3.0", ""),
        (Circumstance.CONNECTOR_GONE, "421 4.3.2 Service not active", "a newer config"),
        (Circumstance.IDLE, "451 4.7.0", "idle"),
        (Circumstance.TOO_LONG, "421 4.4.1", "session"),
        (Circumstance.STOPPING, "421 4.3.2 Service not available", "draining"),
        (Circumstance.FAILURE, "421 4.3.0", "an error of ours"),
    ],
)
def test_what_if(when: Circumstance, reply: str, reason: str) -> None:
    answer = ask(policy(), when=when)
    assert answer.verdict is Verdict.DEFERRED
    assert answer.reply.startswith(reply)
    assert answer.reason.startswith(reason)


def test_what_if_a_message_cannot_be_stored() -> None:
    lines = ("HELO x", "MAIL FROM:<a@contoso.com>", "RCPT TO:<b@contoso.com>", "DATA", "Subject: x", "", ".")
    answer = ask(policy(), mail_from=None, rcpt_to=(), lines=lines, when=Circumstance.NOT_STORED)
    assert (answer.verdict, answer.reply[:9]) == (Verdict.DEFERRED, "451 4.3.0")


@pytest.mark.parametrize(
    ("when", "setting"),
    [
        (Circumstance.CONNECTOR_FULL, "max_inbound_connection"),
        (Circumstance.SOURCE_FULL, "max_inbound_connection_per_source"),
        (Circumstance.SOURCE_TOO_OFTEN, "connection_rate_limit"),
    ],
)
def test_a_limit_that_the_connector_does_not_have_cannot_be_asked_for(
    when: Circumstance, setting: str
) -> None:
    unlimited = {"max_inbound_connection": "unlimited", "max_inbound_connection_per_source": "unlimited"}
    with pytest.raises(BadValue, match=f"{setting} of the connector is unlimited") as refused:
        ask(policy(RELAY | unlimited), when=when)
    assert refused.value.field == "when"


def test_a_client_that_was_sent_away_hears_no_more() -> None:
    answer = ask(policy(), lines=("QUIT",), mail_from=None, rcpt_to=(), when=Circumstance.IDLE)
    assert answer.reply.startswith("221")
