"""The header as a stream: what is kept, what is removed, what is said of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.dialogue.header_block import LONGEST_FIELD, HeaderBlock
from gatepost.policy.dialogue.headers import ContentRules, HeaderFacts, HeaderFamily
from gatepost.policy.dialogue.originators import LONGEST_VALUE

PLAIN = ContentRules()
STRIPPING = ContentRules(
    strip=HeaderFamily.ROUTING | HeaderFamily.ORGANIZATION | HeaderFamily.FOREST,
    local_names=frozenset({"mx1.contoso.com"}),
)


def read(
    octets: bytes, rules: ContentRules = PLAIN, size: int = 65536
) -> tuple[bytes, bytes, HeaderFacts | None]:
    """Header and body that are kept, and the facts, of octets that come in blocks of about a size."""
    block = HeaderBlock(rules)
    header = body = b""
    at = 0
    while at < len(octets):
        end = at + size
        end += octets[end - 1 : end + 1] == b"\r\n"  # Content does not cut these in two
        if block.facts is None:
            kept, body = block.feed(octets[at:end])
            header += kept
        else:
            body += octets[at:end]
        at = end
    return header, body, block.facts


def facts_of(octets: bytes, rules: ContentRules = PLAIN, size: int = 65536) -> HeaderFacts:
    facts = read(octets, rules, size)[2]
    assert facts is not None
    return facts


def test_a_whole_header_tells_its_facts() -> None:
    header = (
        b"Received: from a by mx1.contoso.com\r\nReceived: from b\r\n by mx2.contoso.com\r\n"
        b"From: Chris <chris@contoso.com>\r\nSender: scan@contoso.com\r\n"
        b"Message-ID: <1@contoso.com>\r\nDate: today\r\nSubject: \xe9\r\n"
    )
    assert read(header + b"\r\nbody", STRIPPING)[2] == HeaderFacts(
        octets=len(header),
        received=2,
        local_received=1,
        from_=("chris@contoso.com",),
        sender=("scan@contoso.com",),
        message_id="<1@contoso.com>",
        eight_bit=True,
        nul=False,
        complete=True,
    )


def test_removed_fields_go_with_their_folds_and_the_rest_is_kept_as_it_was() -> None:
    octets = (
        b"Subject: a\r\n\tb\r\nrEcEiVeD : from x\r\n\tby y\r\nTo: c\r\nRESENT-To: d\r\n \r\n e\r\n"
        b"X-MS-Exchange-Organization-SCL: -1\r\nX-MS-Exchange-Forest-X:\r\nX-Mailer: f\r\n\r\nReceived: body\r\n"
    )
    for size in (1, 7, 4096):
        header, body, _ = read(octets, STRIPPING, size)
        assert header == b"Subject: a\r\n\tb\r\nTo: c\r\nX-Mailer: f\r\n"
        assert body == b"\r\nReceived: body\r\n"


def test_missing_fields_are_added_at_the_end_of_the_header() -> None:
    rules = PLAIN._replace(add_message_id="<made@mx1>", add_date="now")
    header, body, facts = read(b"Subject: a\r\n\r\nbody", rules)
    assert header == b"Subject: a\r\nMessage-ID: <made@mx1>\r\nDate: now\r\n"
    assert body == b"\r\nbody"
    assert facts is not None
    assert (facts.message_id, facts.lacks_fields) == ("<made@mx1>", True)


def test_a_field_that_is_there_is_not_added_however_it_reads() -> None:
    rules = PLAIN._replace(add_message_id="<made@mx1>", add_date="now")
    octets = b"message-id: none\r\nDATE: never\r\n\r\n"
    header, _, facts = read(octets, rules)
    assert header == octets[:-2]
    assert facts is not None
    assert (facts.message_id, facts.lacks_fields) == (None, False)


def test_the_first_of_two_message_ids_counts() -> None:
    assert facts_of(b"Message-ID: <1@a>\r\nMessage-ID: <2@a>\r\n\r\n").message_id == "<1@a>"


def test_every_from_field_counts() -> None:
    assert facts_of(b"From: a@b\r\nFrom: c@d, a@b\r\n\r\n").from_ == ("a@b", "c@d")
    assert facts_of(b"From: a@b\r\nFrom: <c@d\r\n\r\n").from_ is None
    assert facts_of(b"From: <c@d\r\nFrom: a@b\r\n\r\n").from_ is None


def test_originators_beyond_the_budget_of_one_message_are_unreadable() -> None:
    fields = b"From: a@b\r\n" * (LONGEST_VALUE // len(b" a@b"))
    assert facts_of(fields + b"\r\n").from_ == ("a@b",)
    assert facts_of(fields + b"From: a@b\r\n\r\n").from_ is None


@pytest.mark.parametrize(
    "junk",
    [
        b"no field\r\n",
        b" folded before any field\r\n",
        b": nothing\r\n",
        b"n\xe9: x\r\n",
        b"n\0: x\r\n",
        b"two words: x\r\n",
        b"x" * 513 + b": y\r\n",
        b"x" + b" " * 65 + b": y\r\n",
        b"x" * 5000,
    ],
)
@pytest.mark.parametrize("size", [1, 100, 65536])
def test_what_is_no_field_begins_the_body_behind_an_empty_line(junk: bytes, size: int) -> None:
    rules = STRIPPING._replace(add_date="now")
    after = b"Received: x\r\n\r\nbody\r\n"
    assert read(junk + after, rules, size)[:2] == (b"Date: now\r\n", b"\r\n" + junk + after)
    if not junk.startswith(b" "):
        header, body, _ = read(b"Subject: a\r\n" + junk + after, rules, size)
        assert (header, body) == (b"Subject: a\r\nDate: now\r\n", b"\r\n" + junk + after)


@pytest.mark.parametrize("size", [1, 997, 4096, 65536])
@pytest.mark.parametrize("length", [LONGEST_FIELD - 1, LONGEST_FIELD, LONGEST_FIELD + 1, 3 * LONGEST_FIELD])
@pytest.mark.parametrize("name", [b"Received", b"X-Mailer", b"From", b"Message-ID"])
def test_overlong_fields_pass_or_go_as_they_come_and_are_not_read(
    name: bytes, length: int, size: int
) -> None:
    start = name + b": <a@b>\r\n "
    field = start + b"x" * (length - len(start) - 2) + b"\r\n"
    assert len(field) == length
    octets = b"To: c\r\n" + field + b"X-A: d\r\n\r\nbody"
    header, body, facts = read(octets, STRIPPING, size)
    assert header == b"To: c\r\n" + (b"" if name == b"Received" else field) + b"X-A: d\r\n"
    assert body == b"\r\nbody"
    assert facts is not None
    assert facts.received == (name == b"Received")
    assert facts.octets == len(octets) - 6
    if name == b"From":
        assert facts.from_ is None
    if name == b"Message-ID":
        assert facts.message_id == ("<a@b>" if length <= LONGEST_FIELD else None)


@pytest.mark.parametrize("size", [1, 3, 4096])
def test_a_header_of_the_limit_passes_and_one_octet_more_does_not(size: int) -> None:
    header = b"Subject: a\r\nTo: b\r\n"
    for less, complete in ((0, True), (1, False)):
        rules = PLAIN._replace(max_header_size=len(header) - less)
        assert facts_of(header + b"\r\n" + b"body" * 99, rules, size).complete is complete


def test_an_endless_header_is_told_as_soon_as_it_passes_the_limit() -> None:
    block = HeaderBlock(PLAIN._replace(max_header_size=1000))
    block.feed(b"X-A: " + b"y" * 990)
    assert (block.facts, block.feed(b"y" * 6)) == (None, (b"", b""))
    assert block.facts == HeaderFacts(octets=1001, lacks_fields=True, complete=False)


@pytest.mark.parametrize("size", [1, 7, 32_768])
def test_thousands_of_fields_pass_whole_however_they_are_cut(size: int) -> None:
    octets = b"".join(b"X-%d: %d\r\n" % (number, number) for number in range(5000)) + b"\r\nbody\r\n"
    header, body, facts = read(octets, size=size)
    assert facts is not None
    assert facts.complete
    assert header + body == octets


def test_a_message_may_end_inside_its_header() -> None:
    block = HeaderBlock(STRIPPING._replace(add_date="now"))
    kept = block.feed(b"Subject: a\r\nReceived: b\r\n")[0]
    assert kept + block.finish() == b"Subject: a\r\nDate: now\r\n"
    assert block.facts is not None
    assert block.facts.received == 1


@given(st.binary(max_size=40).filter(lambda octets: b"\r" not in octets and b"\n" not in octets))
def test_any_line_either_is_a_field_or_ends_the_header(line: bytes) -> None:
    header, body, facts = read(b"To: a\r\n" + line + b"\r\n\r\n")
    assert header + body in {b"To: a\r\n" + line + b"\r\n\r\n", b"To: a\r\n\r\n" + line + b"\r\n\r\n"}
    assert facts is not None
