"""A session that logged on, after the control plane changed its user: what was taken away is over at the next MAIL."""

import base64
from typing import Any

import pytest

from gatepost.policy.analysis.rehearsal import Rehearsal
from gatepost.policy.dialogue.compiled import Endpoint, Policy, compile_policy
from gatepost.policy.dialogue.rules.auth import verifier
from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.bundle import RelayUser, Server, render
from tests.support.policies import NOW, RELAY_RIGHT, document

SUBMISSION = {
    "name": "Submission",
    "bindings": ["0.0.0.0:587"],
    "remote_ip_ranges": ["10.0.0.0/8"],
    "auth_mechanism": ["BasicAuth"],
    "permissions": [{"principal": "user:erp", "rights": ["ms-Exch-SMTP-Submit", RELAY_RIGHT]}],
}
OLD, NEW = (verifier(bytes(16), secret) for secret in (b"old", b"new"))
SENDERS = ("erp@contoso.com", "orders@contoso.com")


def policy(*users: RelayUser, accepted: tuple[str, ...] = ("contoso.com",), **changed: Any) -> Policy:
    other = SUBMISSION | {"name": "Other", "bindings": ["0.0.0.0:588"]}
    domains = [{"domain": domain} for domain in accepted]
    bundle = render(document(SUBMISSION | changed, other, accepted_domains=domains), Server("mx1"), users)
    return compile_policy(bundle, addresses={}, fqdn="mx1.contoso.com", now=NOW)


def user(check: str = OLD, senders: tuple[str, ...] = SENDERS) -> RelayUser:
    return RelayUser(name="ERP", verifier=check, senders=senders)


def next_mail(running: Policy, **settings: Any) -> str:
    """The reply to the second message of a session that logged on before `running` came."""
    local, remote = (Endpoint(parse_address(text), 587) for text in ("10.9.9.9", "10.1.1.1"))
    client = Rehearsal(policy(user(), **settings), local=local, remote=remote, now=NOW)
    client.connect()
    client.say(["EHLO erp", f"AUTH PLAIN {base64.b64encode(bytes(1) + b'erp' + bytes(1) + b'old').decode()}"])
    client.say(["MAIL FROM:<erp@contoso.com>", "RSET"])
    assert not client.refused
    client.usage = client.usage._replace(policy=running)
    client.say(["MAIL FROM:<erp@contoso.com>"])
    assert client.last.reply is not None
    return client.last.reply.text


@pytest.mark.parametrize(
    "users",
    [
        (user(),),
        (user(senders=(*SENDERS[::-1], "more@contoso.com")),),
        (user(), RelayUser(name="other", verifier=NEW)),
    ],
    ids=["the same", "more senders", "another user"],
)
def test_what_takes_nothing_away_leaves_the_session_alone(users: tuple[RelayUser, ...]) -> None:
    assert next_mail(policy(*users)).startswith("250")


@pytest.mark.parametrize(
    "users",
    [(), (user(NEW),), (user(senders=SENDERS[1:]),)],
    ids=["deleted", "a new secret", "fewer senders"],
)
def test_what_takes_something_away_ends_the_session(users: tuple[RelayUser, ...]) -> None:
    assert next_mail(policy(*users)).startswith("421")


def test_a_connector_that_takes_passwords_no_more_ends_the_session() -> None:
    assert next_mail(policy(user(), auth_mechanism=["Tls"])).startswith("421")


def test_a_connector_that_takes_passwords_over_tls_alone_now_ends_a_session_in_clear() -> None:
    mechanism = ["Tls", "BasicAuth", "BasicAuthRequireTLS"]
    running = policy(user(), auth_mechanism=mechanism, tls_certificate_name="mx1")
    assert next_mail(running).startswith("421")


def test_hosts_that_are_externally_secured_no_more_lose_their_sessions() -> None:
    secured: dict[str, Any] = {"permission_groups": ["ExchangeServers"], "permissions": []}
    local, remote = (Endpoint(parse_address(text), 587) for text in ("10.9.9.9", "10.1.1.1"))
    before = policy(**secured, auth_mechanism=["ExternalAuthoritative"])
    for mechanism, code in (("ExternalAuthoritative", 250), ("Tls", 421)):
        client = Rehearsal(before, local=local, remote=remote, now=NOW)
        client.connect()
        client.say(["EHLO app"])
        client.usage = client.usage._replace(policy=policy(**secured, auth_mechanism=[mechanism]))
        client.say(["MAIL FROM:<app@contoso.com>"])
        assert client.last.reply is not None
        assert client.last.reply.code == code


CONTOSO, BOTH = ["contoso.com"], ["contoso.com", "fabrikam.com"]


@pytest.mark.parametrize("field", ["allowed_sender_domains", "allowed_recipient_domains"])
@pytest.mark.parametrize(
    ("before", "now", "code"),
    [
        ([], CONTOSO, "421"),
        (BOTH, CONTOSO, "421"),
        (CONTOSO, BOTH, "250"),
        (BOTH, BOTH[::-1], "250"),
        (CONTOSO, [], "250"),
    ],
)
def test_a_list_of_domains_that_got_shorter_ends_the_session(
    field: str, before: list[str], now: list[str], code: str
) -> None:
    changed: dict[str, Any] = {field: now}
    assert next_mail(policy(user(), **changed), **{field: before}).startswith(code)


def test_tls_that_is_asked_for_now_ends_a_session_in_clear() -> None:
    running = policy(
        user(), require_tls=True, tls_certificate_name="mx1", auth_mechanism=["Tls", "BasicAuth"]
    )
    assert next_mail(running).startswith("421")


@pytest.mark.parametrize(("accepted", "code"), [(("contoso.com", "more.com"), "250"), (("more.com",), "421")])
def test_a_domain_that_is_no_longer_accepted_ends_the_session(accepted: tuple[str, ...], code: str) -> None:
    assert next_mail(policy(user(), accepted=accepted)).startswith(code)
