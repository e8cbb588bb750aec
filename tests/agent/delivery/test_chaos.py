"""Hosts that misbehave at random: nothing is lost, and nothing is given twice that we heard was taken."""

import random
from collections import Counter

import pytest

from gatepost_agent.spool.messages import Result
from tests.agent.delivery.conftest import Run
from tests.agent.delivery.samples import HASTY, message
from tests.agent.delivery.test_scheduler import World, out, running
from tests.support.smart_host import Act, Answer, SmartHost, smart_hosts
from tests.support.waiting import eventually

ACTS: tuple[Answer, ...] = (
    Act.RESET,
    Act.CLOSE,
    Act.HANG,
    "451 4.3.0 later",
    "421 4.3.2 bye",
    b"nonsense\r\n",
    b"250-half a reply\r\n",
    b"\x00",
)
STEPS = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY", "END", "BDAT", "RSET")
MESSAGES = 60


def misbehave(host: SmartHost, chance: random.Random) -> None:
    """From now on one answer in eight is something else."""

    def sometimes(_: bytes) -> Answer | None:
        return chance.choice(ACTS) if chance.random() < 0.12 else None

    host.answers = dict.fromkeys(STEPS, sometimes)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "extensions", [("8BITMIME",), ("PIPELINING", "8BITMIME"), ("PIPELINING", "CHUNKING", "8BITMIME")]
)
def test_whatever_two_hosts_do_every_message_arrives(
    run: Run, seed: int, extensions: tuple[str, ...]
) -> None:
    chance = random.Random(seed)

    async def scene() -> None:
        one, two = SmartHost(extensions=extensions), SmartHost(extensions=extensions)
        async with smart_hosts(one, two), running(World(out(one, two), timeouts=HASTY)) as world:
            for host in (one, two):
                misbehave(host, chance)
            for number in range(MESSAGES):
                world.queue.add(message(number, f"r{number}@fabrikam.com"))

            def busy() -> bool:
                world.pass_time(1)
                return len(world.queue.settled) >= MESSAGES

            await eventually(busy, 30)
            one.answers.clear()
            two.answers.clear()

            def delivered() -> bool:
                world.pass_time(30)
                return not world.queue.waiting

            await eventually(delivered, 30)
            taken = Counter(m.recipients[0] for m in (*one.messages, *two.messages))
            done = Counter(
                r for n in range(MESSAGES) for r, result in world.queue.outcomes(n) if result is Result.DONE
            )
            assert set(done) == {f"r{n}@fabrikam.com" for n in range(MESSAGES)}
            assert set(done.values()) == {1}
            # A host that took a message and could not tell us so gets it twice: that is what "not now" means.
            unheard = sum(taken.values()) - MESSAGES
            assert 0 <= unheard <= MESSAGES // 4

    run(scene())
