"""Content against a reference that reads one octet at a time, however its input is cut."""

import re
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import pairwise, product
from typing import Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.dialogue.content import LONGEST_LINE, Content, ContentFacts, Kept
from gatepost.policy.dialogue.headers import ContentRules, HeaderFacts, HeaderFamily

END = b"\r\n.\r\n"
PLAIN = ContentRules()
EVERYTHING = ContentRules(
    prepend=b"Received: from us\r\n",
    strip=HeaderFamily.ROUTING | HeaderFamily.ORGANIZATION | HeaderFamily.FOREST,
    add_message_id="<made@mx1>",
    add_date="Thu, 1 Jan 1970 00:00:00 +0000",
    local_names=frozenset({"mx1"}),
)


Bare = Literal["normalise", "refuse"]


class Outcome(NamedTuple):
    kept: bytes
    consumed: int
    header: HeaderFacts | None
    ended: ContentFacts | None


def run(blocks: Iterable[bytes], rules: ContentRules = PLAIN, *, chunked: bool = False) -> Outcome:
    content = Content(rules, chunked=chunked)
    parts = [content.feed(block) for block in blocks]
    if chunked:
        parts.append(content.finish())
    return merged(parts)


def merged(parts: list[Kept]) -> Outcome:
    headers = [part.header for part in parts if part.header is not None]
    ends = [part.ended for part in parts if part.ended is not None]
    assert len(headers) <= 1
    assert len(ends) <= 1
    return Outcome(
        kept=b"".join(part.data for part in parts),
        consumed=sum(part.consumed for part in parts),
        header=headers[0] if headers else None,
        ended=ends[0] if ends else None,
    )


def singles(octets: bytes) -> Iterator[bytes]:
    return (octets[at : at + 1] for at in range(len(octets)))


def cut(octets: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[low:high] for low, high in pairwise(edges)]


# ------------------------------------------------------------------------------------------------- the reference


class Text(NamedTuple):
    octets: bytes
    consumed: int
    ended: bool


def unstuffed(stream: bytes) -> Text:
    """RFC 5321 4.5.2, one octet at a time."""
    text = bytearray()
    at = 0
    while at < len(stream):
        line_start = at == 0 or stream[at - 2 : at] == b"\r\n"
        if line_start and stream[at : at + 3] == b".\r\n":
            return Text(bytes(text), at + 3, ended=True)
        if not (line_start and stream[at : at + 1] == b"."):
            text.append(stream[at])
        at += 1
    return Text(bytes(text), at, ended=False)


def lines_of(text: bytes) -> tuple[list[bytes], int, int]:
    """The lines a lax reader sees, the last one too if it has no end, and the bare CRs and LFs."""
    lines, line, bare_cr, bare_lf, at = [], bytearray(), 0, 0, 0
    while at < len(text):
        octet = text[at : at + 1]
        if octet in b"\r\n":
            lines.append(bytes(line))
            line.clear()
            pair = text[at : at + 2] == b"\r\n"
            bare_cr += octet == b"\r" and not pair
            bare_lf += octet == b"\n"
            at += pair
        else:
            line += octet
        at += 1
    if line:
        lines.append(bytes(line))
    return lines, bare_cr, bare_lf


def fields_of(lines: list[bytes]) -> tuple[list[list[bytes]], list[bytes]]:
    """Fields as lists of lines, and the body's lines, the first of which is empty; none without a body."""
    fields: list[list[bytes]] = []
    for number, line in enumerate(lines):
        if fields and line[:1] in (b" ", b"\t"):
            fields[-1].append(line)
        elif re.match(rb"[!-9;-~]+[ \t]*:", line):
            fields.append([line])
        else:
            return fields, lines[number:] if line == b"" else [b"", *lines[number:]]
    return fields, []


STRIPPED = re.compile(rb"received[ \t]*:|resent-|x-ms-exchange-(organization|forest)-", re.IGNORECASE)


def expected_text(text: bytes, rules: ContentRules) -> bytes:
    fields, body = fields_of(lines_of(text)[0])
    names = [field[0].partition(b":")[0].strip().lower() for field in fields]
    kept = [line for field in fields if not (rules.strip and STRIPPED.match(field[0])) for line in field]
    if rules.add_message_id and b"message-id" not in names:
        kept.append(b"Message-ID: " + rules.add_message_id.encode())
    if rules.add_date and b"date" not in names:
        kept.append(b"Date: " + rules.add_date.encode())
    return rules.prepend + b"".join(line + b"\r\n" for line in kept + body)


def check(stream: bytes, outcome: Outcome, rules: ContentRules, *, chunked: bool = False) -> None:
    text = Text(stream, len(stream), ended=True) if chunked else unstuffed(stream)
    assert outcome.consumed == text.consumed
    assert (outcome.ended is not None) == text.ended
    if outcome.ended is None:
        return
    lines, bare_cr, bare_lf = lines_of(text.octets)
    fields, body = fields_of(lines)
    header = b"".join(line + b"\r\n" for field in fields for line in field)
    assert outcome.kept == expected_text(text.octets, rules)
    assert outcome.ended._replace(header=HeaderFacts()) == ContentFacts(
        octets=len(text.octets),
        bare_cr=bare_cr,
        bare_lf=bare_lf,
        eight_bit=not b"".join(body).isascii(),
        nul=b"\0" in b"".join(body),
        long_line=False,
        over_limit=False,
        header=HeaderFacts(),
    )
    facts = outcome.ended.header
    assert facts == outcome.header
    assert (facts.octets, facts.eight_bit) == (len(header), not header.isascii())
    assert facts.nul == (b"\0" in header)
    hops = [field for field in fields if re.match(rb"received[ \t]*:", field[0], re.IGNORECASE)]
    assert facts.received == len(hops)


# ------------------------------------------------------------------------------------------------------- any cut


@pytest.mark.parametrize("length", range(6))
def test_every_short_text_is_read_as_the_reference_reads_it_however_it_is_cut_in_two(length: int) -> None:
    for octets in product(b"\r\n.a", repeat=length):
        stream = bytes(octets) + END + b"QUIT\r\n"
        whole = run([stream])
        check(stream, whole, PLAIN)
        for place in range(1, min(len(stream), whole.consumed + 2)):
            assert run([stream[:place], stream[place:]]) == whole
        assert run(singles(stream)) == whole


ODDITIES = [
    b"\r",
    b"\n",
    b"\r\n",
    b".",
    b"\r\n.",
    b"..",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"\xe9",
    b"text",
]
FIELDS = [
    b"Received: x\r\n",
    b"Subject: a\r\n b\r\n",
    b"Date: now\r\n",
    b"Message-ID: <a@b>\r\n",
    b"From: a@b\r\n",
]
NAMES = [b"received :", b"Resent-To: ", b"X-MS-Exchange-Organization-A: ", b"X-MS-Exchange-Forest-A:"]
PIECES = st.sampled_from(ODDITIES + FIELDS + NAMES)
STREAMS = st.lists(PIECES, max_size=25).map(b"".join)
CUTS = st.lists(st.integers(0, 400), max_size=12)


@given(STREAMS, CUTS, st.sampled_from([PLAIN, EVERYTHING]))
def test_data_gives_what_the_reference_gives_however_it_is_cut(
    stream: bytes, cuts: list[int], rules: ContentRules
) -> None:
    stream += END + b"MAIL FROM:<a@b>\r\n"
    outcome = run(cut(stream, cuts), rules)
    check(stream, outcome, rules)
    assert outcome == run([stream], rules)
    assert outcome == run(singles(stream), rules)


@given(STREAMS, CUTS, st.sampled_from([PLAIN, EVERYTHING]))
def test_chunks_give_what_the_reference_gives_however_they_are_cut(
    stream: bytes, cuts: list[int], rules: ContentRules
) -> None:
    outcome = run(cut(stream, cuts), rules, chunked=True)
    check(stream, outcome, rules, chunked=True)
    assert outcome == run([stream], rules, chunked=True)
    assert outcome == run(singles(stream), rules, chunked=True)


@given(STREAMS, CUTS, st.integers(0, 60), st.integers(0, 60), st.sampled_from(["normalise", "refuse"]))
def test_limits_are_found_however_it_is_cut(
    stream: bytes, cuts: list[int], size: int, header: int, bare: Bare
) -> None:
    rules = EVERYTHING._replace(max_size=size, max_header_size=header, bare_linefeed=bare)
    whole = run([stream + END], rules).ended
    pieces = run(cut(stream + END, cuts), rules).ended
    assert whole is not None
    assert pieces is not None
    assert whole.over_limit == pieces.over_limit == (whole.octets > size)
    assert whole.header.complete == pieces.header.complete
    if whole.header.complete:
        assert whole == pieces


# ---------------------------------------------------------------------------------------------------- end of data


@pytest.mark.parametrize("place", range(1, len(END)))
def test_a_terminator_cut_anywhere_ends_the_message(place: int) -> None:
    stream = b"Subject: x\r\n\r\nbody" + END
    edge = len(stream) - len(END) + place
    outcome = run([stream[:edge], stream[edge:]])
    assert outcome.kept == b"Subject: x\r\n\r\nbody\r\n"
    assert outcome.ended is not None


def test_what_follows_the_end_of_data_is_left_to_the_next_command() -> None:
    content = Content(PLAIN)
    first = content.feed(b"a: b\r\n.\r\nRSET\r\n")
    assert (first.consumed, content.finished) == (9, True)
    assert content.feed(b"RSET\r\n") == Kept(data=b"", consumed=0)


def test_a_dot_at_once_is_an_empty_message() -> None:
    outcome = run([b".\r\n"], EVERYTHING)
    assert outcome.ended is not None
    assert outcome.ended.octets == 0
    assert outcome.kept == (
        b"Received: from us\r\nMessage-ID: <made@mx1>\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
    )


def test_stuffed_dots_are_removed_and_only_the_first_of_a_line() -> None:
    outcome = run([b"a: b\r\n\r\n..\r\n..c\r\n.d\r\ne.\r\n.\r\n"])
    assert outcome.kept == b"a: b\r\n\r\n.\r\n.c\r\nd\r\ne.\r\n"


def test_chunks_know_neither_dots_nor_terminator_and_end_with_a_whole_line() -> None:
    outcome = run([b"a: b\r\n\r\n..c\r\n.\r", b"\nd\r\n.e"], chunked=True)
    assert outcome.kept == b"a: b\r\n\r\n..c\r\n.\r\nd\r\n.e\r\n"


# ------------------------------------------------------------------------------------------------------- smuggling

LONE_DOTS = [
    b"\n.\n",
    b"\r.\r",
    b"\r\n.\n",
    b"\n.\r\n",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\n.\r",
    b"\r.\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\0\n.\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\n",
    b"\n\n.\r\n",
    b"\r\n.\r\0\n",
    b"\r\n .\r\n",
]


@pytest.mark.parametrize("bare", ["normalise", "refuse"])
@pytest.mark.parametrize("lone_dot", LONE_DOTS)
def test_nothing_but_crlf_dot_crlf_ends_a_message_and_no_bare_line_end_is_kept(
    lone_dot: bytes, bare: Bare
) -> None:
    stream = b"Subject: x\r\n\r\nbody" + lone_dot + b"MAIL FROM:<ceo@contoso.com>\r\nz" + END
    rules = PLAIN._replace(bare_linefeed=bare)
    for outcome in (run([stream], rules), run(singles(stream), rules)):
        assert outcome.consumed == len(stream)
        assert outcome.kept.count(b"\r") == outcome.kept.count(b"\n") == outcome.kept.count(b"\r\n")


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"\0", b"a", b"\r\n"]), max_size=12).map(b"".join), CUTS)
def test_what_is_kept_and_stuffed_again_is_one_message_to_the_laxest_next_hop(
    octets: bytes, cuts: list[int]
) -> None:
    kept = run(cut(b"a: b\r\n\r\n" + octets + END, cuts)).kept
    sent = re.sub(rb"(?m)^\.", b"..", kept)
    assert re.search(rb"(\A|\r\n?|\n)\.(\r\n?|\n)", sent) is None
    assert re.search(rb"\r(?!\n)|(?<!\r)\n", sent) is None


def test_a_field_hidden_behind_a_bare_line_end_meets_the_firewall() -> None:
    hidden = b"Subject: a\rX-MS-Exchange-Organization-SCL: -1\nReceived: b\r\n\r\nbody" + END
    assert run([hidden], EVERYTHING._replace(prepend=b"", add_date="", add_message_id="")).kept == (
        b"Subject: a\r\n\r\nbody\r\n"
    )


@pytest.mark.parametrize("bare", [b"\r", b"\n"])
def test_refusing_bare_line_ends_keeps_nothing_more_but_finds_the_end(bare: bytes) -> None:
    content = Content(PLAIN._replace(bare_linefeed="refuse"))
    assert content.feed(b"a: b\r\n\r\nc\r\n").data == b"a: b\r\n\r\nc\r\n"
    assert content.feed(b"d" + bare + b"e\r\n").data == b""
    last = content.feed(b"f\r\n.\r\n")
    assert (last.data, content.wanted) == (b"", False)
    assert last.ended is not None
    assert last.ended.bare_cr + last.ended.bare_lf == 1


# ----------------------------------------------------------------------------------------------------------- bounds


def test_a_message_of_the_size_limit_passes_and_one_octet_more_does_not() -> None:
    message = b"a: b\r\n\r\n..\r\n"
    passed, refused = (
        run([message + b".\r\n"], PLAIN._replace(max_size=len(message) - 1 - less)).ended for less in (0, 1)
    )
    assert passed is not None
    assert refused is not None
    assert (passed.over_limit, refused.over_limit) == (False, True)


@pytest.mark.parametrize(
    "block",
    [
        b"x" * 65536,
        b"\r" * 65536,
        b"\n" * 65536,
        b"X-A: " + b"y" * 65531,
        b"X-A: b\r\n" * 8192,
        b" folded\r\n" * 7281,
        b"From: a@b, (\r\n " * 4096,
        b"\r\n." * 21845,
        b"." * 65536,
    ],
    ids=["no line end", "cr", "lf", "no fold", "headers", "folds", "from", "dots", "only dots"],
)
@pytest.mark.parametrize("start", [b"", b"From: ", b"X-Long:", b"Received: ", b"Subject: a\r\n\r\n"])
@pytest.mark.parametrize("rules", [EVERYTHING, EVERYTHING._replace(max_size=10000, max_header_size=262144)])
def test_memory_is_flat_whatever_comes(start: bytes, block: bytes, rules: ContentRules) -> None:
    content = Content(rules)
    content.feed(start)
    content.feed(block)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(6):
            content.feed(block)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 40_000
    assert peak - before < 512 * 1024


def test_a_hundred_megabytes_without_a_line_end_leave_nothing_behind() -> None:
    content = Content(EVERYTHING)
    block = b"x" * 2**20
    tracemalloc.start()
    try:
        for _ in range(100):
            content.feed(block)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert content.octets == 100 * 2**20
    assert after < 40_000


def test_after_the_limit_nothing_is_kept_and_the_end_is_still_found() -> None:
    content = Content(PLAIN._replace(max_size=100))
    content.feed(b"a: b\r\n\r\n")
    assert content.feed(b"x" * 200).data == b""
    assert content.feed(b"y" * 200).data == b""
    assert content.over_limit
    last = content.feed(b"\r\n.\r\nQUIT\r\n")
    assert (last.data, last.consumed) == (b"", 5)
    assert last.ended is not None
    assert last.ended.octets == 410


def test_a_clean_block_of_a_body_is_passed_on_without_a_copy() -> None:
    content = Content(PLAIN)
    content.feed(b"a: b\r\n\r\n")
    block = b"one line\r\n" * 1000
    assert content.feed(block).data is block


def test_blocks_may_be_views() -> None:
    stream = b"a: b\r\n\r\nc\r\n.\r\n"
    assert run([stream]).kept == merged([Content(PLAIN).feed(memoryview(bytearray(stream)))]).kept


# ------------------------------------------------------------------------------------------------- long lines


@given(
    st.lists(st.sampled_from((0, 1, 76, LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1)), max_size=6),
    st.lists(st.integers(1, 3000), max_size=4),
)
def test_a_line_of_more_than_998_octets_is_noticed_however_it_is_cut(
    lengths: list[int], sizes: list[int]
) -> None:
    stream = b"a: b\r\n\r\n" + b"".join(b"x" * length + b"\r\n" for length in lengths) + b".\r\n"
    blocks, at = [], 0
    for size in sizes:
        blocks.append(stream[at : at + size])
        at += size
    ended = run([*blocks, stream[at:]]).ended
    assert ended is not None
    assert ended.long_line == any(length > LONGEST_LINE for length in lengths)


def test_a_long_line_may_be_the_last_one_or_never_end() -> None:
    for text in (b"x" * 999, b"a: b\r\n\r\n" + b"x" * 5000):
        ended = run([text], chunked=True).ended
        assert ended is not None
        assert ended.long_line
