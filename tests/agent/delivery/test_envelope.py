"""Addresses and headers beyond ASCII, and what a next hop without SMTPUTF8 is still given (RFC 6531, 5890)."""

import asyncio

import pytest

from gatepost_agent.delivery.envelope import Unfit, envelope_commands
from gatepost_agent.delivery.extensions import Extensions
from gatepost_agent.delivery.job import Job
from gatepost_agent.spool.messages import QueuedMessage
from tests.agent.delivery.samples import BODY, blocks, message

OLD, NEW = Extensions(eight_bit=True), Extensions(eight_bit=True, smtp_utf8=True)


def commands(of: QueuedMessage, extensions: Extensions, *, utf8_header: bool = False) -> list[str]:
    async def made() -> list[bytes]:
        done = asyncio.get_running_loop().create_future()
        job = Job(of, of.pending, blocks(BODY), done, utf8_header=utf8_header)
        return envelope_commands(job, extensions)

    return [command.decode() for command in asyncio.run(made())]


def test_domains_go_as_a_labels_to_a_hop_without_smtputf8() -> None:
    of = message(1, "kate@bücher.example", "lee@fabrikam.com", mail_from="scan@münchen.example")
    assert commands(of, OLD) == [
        "MAIL FROM:<scan@xn--mnchen-3ya.example>",
        "RCPT TO:<kate@xn--bcher-kva.example>",
        "RCPT TO:<lee@fabrikam.com>",
    ]
    assert commands(of, NEW, utf8_header=True) == [
        "MAIL FROM:<scan@münchen.example> SMTPUTF8",
        "RCPT TO:<kate@bücher.example>",
        "RCPT TO:<lee@fabrikam.com>",
    ]


def test_smtputf8_without_need_is_not_asked_of_a_hop_that_lacks_it() -> None:
    assert commands(message(smtp_utf8=True), OLD)[0] == "MAIL FROM:<scanner@contoso.com>"
    assert commands(message(smtp_utf8=True), NEW)[0] == "MAIL FROM:<scanner@contoso.com> SMTPUTF8"


@pytest.mark.parametrize(
    ("of", "utf8_header", "why"),
    [
        (message(smtp_utf8=True), True, "the message's header holds UTF-8"),
        (message(1, "käthe@fabrikam.com"), False, r"<k\xc3\xa4the@fabrikam.com> has no form in ASCII"),
        (message(mail_from="jürgen@contoso.com"), False, r"<j\xc3\xbcrgen@contoso.com> has no form in ASCII"),
        # IDNA 2003 and 2008 make two different names of it: neither is guessed.
        (message(mail_from="a@straße.example"), False, r"<a@stra\xc3\x9fe.example> has no form in ASCII"),
    ],
)
def test_what_needs_smtputf8_is_refused_and_says_what_it_is(
    of: QueuedMessage, utf8_header: bool, why: str
) -> None:
    with pytest.raises(Unfit) as caught:
        commands(of, OLD, utf8_header=utf8_header)
    assert caught.value.status == "5.6.7"
    assert str(caught.value) == f"{why}: it needs SMTPUTF8, which the next hop does not offer"
    assert commands(of, NEW, utf8_header=utf8_header)[0].endswith(" SMTPUTF8")
