"""The fleet document: accepted domains, connectors, send connectors, tests and assertions."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gatepost.policy.model.base import Configured, Name, Selector
from gatepost.policy.model.connector import Moment, RangeText, ReceiveConnector
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.mailboxes import parse_domain
from gatepost.policy.model.send_connector import SendConnector
from gatepost.policy.model.values import AddressText, BindingText


def _accepted(text: str) -> str:
    name = text.strip()
    if name == "*":
        return name
    return f"*.{parse_domain(name[2:])}" if name.startswith("*.") else parse_domain(name)


class AcceptedDomain(Configured):
    """A domain we receive for. `*.contoso.com` holds its sub-domains; `match_sub_domains` both."""

    domain: Annotated[str, Field(max_length=256), AfterValidator(_accepted)]
    type: Literal["authoritative", "internal_relay", "external_relay"] = "authoritative"
    match_sub_domains: bool = False


def _recipients(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class DialogueTest(Configured):
    """A dialogue with the reply that must come; run at plan, publish and before an agent applies.

    `expect` is the beginning of the last reply's text: that to the last RCPT, or to the last of `lines`.
    """

    name: Annotated[str, Field(min_length=1, max_length=128)]
    server: Name
    remote: AddressText
    local: BindingText | None = None
    helo: str = "test"
    mail_from: str | None = None
    rcpt_to: Annotated[tuple[str, ...], BeforeValidator(_recipients)] = ()
    lines: tuple[str, ...] = ()
    tls: bool = False
    user: str | None = None
    at: Moment | None = None
    expect: Annotated[str, Field(min_length=3, max_length=512)]

    @model_validator(mode="after")
    def _check(self) -> "DialogueTest":
        if bool(self.lines) == (self.mail_from is not None or bool(self.rcpt_to)):
            raise BadValue(self.name, "a test needs lines, or mail_from and rcpt_to", "Give one of the two.")
        return self


class Assertion(Configured):
    """What must hold of exposure, whatever is edited: only these ranges may relay without a password."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    servers: tuple[Selector, ...] = Field(default=("*",), min_length=1)
    relay_only_from: tuple[RangeText, ...]


def _unique(kind: str, names: Iterable[str]) -> None:
    for name, count in Counter(name.lower() for name in names).items():
        if count > 1:
            raise BadValue(name, f"two {kind} of one name", "Names are compared without case; rename one.")


class FleetDocument(Configured):
    """Everything that is published; servers, tokens and relay users are not in it."""

    accepted_domains: tuple[AcceptedDomain, ...] = ()
    connectors: tuple[ReceiveConnector, ...] = ()
    send_connectors: tuple[SendConnector, ...] = ()
    tests: tuple[DialogueTest, ...] = ()
    assertions: tuple[Assertion, ...] = ()

    @model_validator(mode="after")
    def _check_names(self) -> "FleetDocument":
        _unique("accepted domains", (entry.domain for entry in self.accepted_domains))
        _unique("connectors", (connector.name for connector in self.connectors))
        _unique("send connectors", (connector.name for connector in self.send_connectors))
        _unique("tests", (test.name for test in self.tests))
        _unique("assertions", (assertion.name for assertion in self.assertions))
        return self
