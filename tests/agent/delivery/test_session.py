"""Messages over a session: pipelined and not, every way a next hop can answer, and every way it can fail to."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gatepost_agent.delivery.errors import ConnectionLost
from gatepost_agent.delivery.job import Job
from gatepost_agent.spool.errors import DamagedBody
from gatepost_agent.spool.messages import Result
from tests.agent.delivery.conftest import Run
from tests.agent.delivery.samples import (
    BODY,
    HASTY,
    PATIENT,
    blocks,
    exit_for,
    job,
    message,
    nobody,
    results,
    session,
)
from tests.support.smart_host import Act, Script, SmartHost
from tests.support.waiting import eventually

PLAIN = ("8BITMIME",)
PIPELINED = ("PIPELINING", "8BITMIME", "SIZE 1000000", "SMTPUTF8")
CHUNKED = (*PIPELINED, "CHUNKING")
ALL = pytest.mark.parametrize(
    "extensions", [PLAIN, PIPELINED, CHUNKED, ()], ids=["plain", "pipelined", "chunked", "old"]
)


async def deliver(host: SmartHost, one: Job) -> Job:
    hangs = Act.HANG in host.answers.values()
    opened = await session(exit_for(timeouts=HASTY if hangs else PATIENT), host.port)
    try:
        await opened.deliver(one, nobody)
    finally:
        opened.close()
    return one


@ALL
def test_a_message_arrives_whole(run: Run, extensions: tuple[str, ...]) -> None:
    async def scene() -> None:
        async with SmartHost(extensions=extensions) as host:
            one = await deliver(host, job(message(1, "kate@fabrikam.com", "lee@fabrikam.com")))
            assert results(await one.done) == {
                "kate@fabrikam.com": Result.DONE,
                "lee@fabrikam.com": Result.DONE,
            }
            [received] = host.messages
            assert received.data == BODY
            assert received.mail == "scanner@contoso.com"
            assert received.recipients == ["kate@fabrikam.com", "lee@fabrikam.com"]

    run(scene())


@ALL
def test_a_large_message_is_streamed(run: Run, extensions: tuple[str, ...]) -> None:
    parts = [
        b"Subject: scan\r\n\r\n",
        *[b".%d" % n + b"x" * 70_000 + b"\r" if n % 2 else b"\n." for n in range(60)],
    ]
    whole = b"".join(parts)
    expected = whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")

    async def scene() -> None:
        async with SmartHost(extensions=extensions) as host:
            one = await deliver(host, job(message(size=len(whole)), *parts))
            assert results(await one.done) == {"kate@fabrikam.com": Result.DONE}
            assert host.messages[0].data == (expected if expected.endswith(b"\r\n") else expected + b"\r\n")

    # SIZE 1000000 would refuse it before it is sent.
    extensions = tuple(e for e in extensions if not e.startswith("SIZE"))
    run(scene())


@ALL
def test_many_messages_use_one_connection(run: Run, extensions: tuple[str, ...]) -> None:
    async def scene() -> None:
        async with SmartHost(extensions=extensions) as host:
            jobs = [job(message(number, f"r{number}@fabrikam.com")) for number in range(20)]
            waiting = jobs[1:]
            opened = await session(exit_for(), host.port)
            current: Job | None = jobs[0]
            while current is not None:
                begun = await opened.deliver(current, lambda: waiting.pop(0) if waiting else None)
                current = begun or (waiting.pop(0) if waiting else None)
            opened.close()
            for one in jobs:
                assert results(await one.done) == {one.recipients[0]: Result.DONE}
            assert [received.recipients[0] for received in host.messages] == [j.recipients[0] for j in jobs]
            assert host.connections == 1

    run(scene())


@ALL
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("550 5.7.1 no", Result.NEVER),
        ("451 4.3.0 later", Result.NOT_NOW),
        ("452 4.5.3 too many", Result.NOT_NOW),
    ],
)
def test_each_answer_at_each_command_has_its_outcome(
    run: Run, extensions: tuple[str, ...], step: str, answer: str, expected: Result
) -> None:
    step = {"END": "BDAT", "DATA": "BDAT"}.get(step, step) if "CHUNKING" in extensions else step

    async def scene() -> None:
        # The second message must not suffer from what happened to the first.
        async with SmartHost(extensions=extensions, answers={step: [answer]}) as host:
            first, second = job(message(1)), job(message(2))
            opened = await session(exit_for(), host.port)
            begun = await opened.deliver(first, lambda: second)
            assert begun in (None, second)
            await opened.deliver(second, nobody)
            opened.close()
            [told] = await first.done
            assert (told.result, told.reply, told.status) == (expected, answer, answer.split()[1])
            assert results(await second.done) == {"kate@fabrikam.com": Result.DONE}
            assert len(host.messages) == 1

    run(scene())


@ALL
def test_recipients_have_their_own_outcomes(run: Run, extensions: tuple[str, ...]) -> None:
    def rcpt(line: bytes) -> str | None:
        return {b"n": "550 5.1.1 never", b"l": "450 4.2.0 later", b"f": "552 5.2.3 full"}.get(line[9:10])

    async def scene() -> None:
        async with SmartHost(extensions=extensions, answers={"RCPT": rcpt}) as host:
            one = await deliver(host, job(message(1, "never@a.org", "ok@a.org", "later@a.org", "full@a.org")))
            assert results(await one.done) == {
                "never@a.org": Result.NEVER,
                "ok@a.org": Result.DONE,
                "later@a.org": Result.NOT_NOW,
                "full@a.org": Result.NOT_NOW,  # RFC 5321 4.5.3.1.10: 552 to RCPT is 452
            }
            assert host.messages[0].recipients == ["ok@a.org"]

    run(scene())


def test_data_that_was_wanted_for_nobody_ends_as_an_empty_message(run: Run) -> None:
    async def scene() -> None:
        answers: dict[str, Script] = {"RCPT": ["550 5.1.1 no"], "DATA": ["354 go on all the same"]}
        async with SmartHost(extensions=PIPELINED, answers=answers) as host:
            opened = await session(exit_for(), host.port)
            first, second = job(), job(message(2))
            await opened.deliver(first, nobody)
            await opened.deliver(second, nobody)
            opened.close()
            assert results(await first.done) == {"kate@fabrikam.com": Result.NEVER}
            assert results(await second.done) == {"kate@fabrikam.com": Result.DONE}
            assert [received.data for received in host.messages] == [BODY]

    run(scene())


@ALL
@pytest.mark.parametrize(
    "act", [Act.HANG, Act.RESET, Act.CLOSE, b"garbage\r\n", b"\x00\xff" * 9 + b"\n", "421 4.3.2 bye"]
)
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_trouble_before_the_content_decides_nothing(
    run: Run, extensions: tuple[str, ...], step: str, act: Act | bytes | str
) -> None:
    step = "RCPT" if "CHUNKING" in extensions else step  # BDAT is content already

    async def scene() -> None:
        async with SmartHost(extensions=extensions, answers={step: act}) as host:
            one = job()
            with pytest.raises(ConnectionLost) as caught:
                await deliver(host, one)
            assert not one.done.done()
            if act == b"garbage\r\n":
                assert "garbage" in str(caught.value)
            assert host.messages == []

    run(scene())


@ALL
@pytest.mark.parametrize("act", [Act.HANG, Act.RESET, Act.CLOSE, b"garbage\r\n", "421 4.3.2 bye", "354 what"])
@pytest.mark.parametrize("step", ["BODY", "END"])
def test_trouble_from_the_content_on_is_not_now(
    run: Run, extensions: tuple[str, ...], step: str, act: Act | bytes | str
) -> None:
    step = "BDAT" if "CHUNKING" in extensions else step

    async def scene() -> None:
        async with SmartHost(extensions=extensions, answers={step: act}) as host:
            one = await deliver(host, job())
            assert results(await one.done) == {"kate@fabrikam.com": Result.NOT_NOW}
            assert one.met_trouble

    run(scene())


def test_a_refusal_in_the_midst_of_data_still_counts(run: Run) -> None:
    answers: dict[str, Script] = {"BODY": ["552 5.3.4 too big"], "END": Act.CLOSE}

    async def scene() -> None:
        async with SmartHost(extensions=PIPELINED, answers=answers) as host:
            one = await deliver(host, job())
            [told] = await one.done
            assert (told.result, told.status) == (Result.NEVER, "5.3.4")

    run(scene())


def test_a_connection_that_dies_takes_only_one_message_into_doubt(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost(extensions=PIPELINED, answers={"END": [Act.RESET]}) as host:
            first, second = job(message(1)), job(message(2))
            opened = await session(exit_for(), host.port)
            begun = await opened.deliver(first, lambda: second)
            assert results(await first.done) == {"kate@fabrikam.com": Result.NOT_NOW}
            assert begun is second
            with pytest.raises(ConnectionLost):
                await opened.deliver(second, nobody)
            opened.close()
            assert not second.done.done()

    run(scene())


def test_a_reply_too_many_is_never_taken_for_the_messages(run: Run) -> None:
    async def scene() -> None:
        # One reply too many to RCPT: the 354 would be taken for an answer to the message.
        async with SmartHost(extensions=PIPELINED, answers={"RCPT": b"250 one\r\n250 two\r\n"}) as host:
            one = await deliver(host, job())
            assert results(await one.done) == {"kate@fabrikam.com": Result.NOT_NOW}
        async with SmartHost(
            extensions=PLAIN, answers={"DATA": b"354 go on\r\n250 taken already\r\n"}
        ) as host:
            one = await deliver(host, job())
            assert results(await one.done) == {"kate@fabrikam.com": Result.NOT_NOW}
            assert host.messages == []

    run(scene())


def test_what_the_server_cannot_take_is_refused_for_good_and_says_why(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost(extensions=("PIPELINING", "SIZE 1000")) as host:
            opened = await session(exit_for(), host.port)
            for unfit, status, word in [
                (message(eight_bit=True), "5.6.3", "8BITMIME"),
                (message(1, "käthe@fabrikam.com"), "5.6.7", "SMTPUTF8"),
                (message(size=1001), "5.3.4", "1000"),
            ]:
                one = job(unfit)
                await opened.deliver(one, nobody)
                [told] = await one.done
                assert (told.result, told.status) == (Result.NEVER, status)
                assert word in told.reply
            fine = job(message(size=1000))
            await opened.deliver(fine, nobody)
            assert results(await fine.done) == {"kate@fabrikam.com": Result.DONE}
            assert host.said("MAIL") == ["MAIL FROM:<scanner@contoso.com> SIZE=1000"]
            opened.close()

    run(scene())


def test_parameters_are_used_when_offered(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost(extensions=PIPELINED) as host:
            await deliver(host, job(message(1, "käthe@fabrikam.com", size=7, eight_bit=True)))
            assert host.said("MAIL") == ["MAIL FROM:<scanner@contoso.com> SIZE=7 BODY=8BITMIME SMTPUTF8"]
            assert host.said("RCPT") == ["RCPT TO:<käthe@fabrikam.com>"]

    run(scene())


@ALL
def test_a_damaged_body_never_looks_like_a_whole_message(run: Run, extensions: tuple[str, ...]) -> None:
    async def damaged() -> AsyncIterator[bytes]:
        yield BODY
        raise DamagedBody("checksum")

    async def scene() -> None:
        async with SmartHost(extensions=extensions) as host:
            of = message()
            one = Job(of, of.pending, damaged, asyncio.get_running_loop().create_future())
            opened = await session(exit_for(), host.port)
            with pytest.raises(DamagedBody):
                await opened.deliver(one, nobody)
            assert not opened.usable
            opened.close()
            assert host.messages == []

    run(scene())


def test_a_closed_session_said_quit(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host:
            await deliver(
                host, Job(message(), ("a@b.org",), blocks(BODY), asyncio.get_running_loop().create_future())
            )
            await eventually(lambda: host.said("QUIT"))

    run(scene())
