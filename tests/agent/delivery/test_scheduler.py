"""The scheduler over real sockets: outcomes, backoff, expiry, failover, bounces, and an orderly end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from gatepost.policy.dialogue.domains import AcceptedDomains
from gatepost.policy.model.document import AcceptedDomain
from gatepost.policy.model.send_connector import SendConnector
from gatepost_agent.delivery.job import Attempt
from gatepost_agent.delivery.pool import Pool
from gatepost_agent.delivery.routing import Routing, make_routing
from gatepost_agent.delivery.scheduler import Delivery
from gatepost_agent.delivery.session import Timeouts
from gatepost_agent.delivery.targets import Finder
from gatepost_agent.mail_events import mail_events
from gatepost_agent.spool.errors import SpoolClosed, SpoolError
from gatepost_agent.spool.messages import EXPIRE_AFTER_S, QueuedMessage, Result
from gatepost_agent.spool.outcomes import retried
from tests.agent.delivery.conftest import Run
from tests.agent.delivery.memory_queue import MemoryQueue
from tests.agent.delivery.resolver import FakeResolver
from tests.agent.delivery.samples import HASTY, NO_SECRETS, PATIENT, message, send_connector
from tests.support.smart_host import Act, SmartHost, smart_hosts
from tests.support.waiting import eventually

START = 1_000_000.0
OURS = AcceptedDomains([AcceptedDomain(domain="contoso.com")])


class World:
    """A running Delivery, its queue, its log and its clocks."""

    def __init__(
        self, *connectors: SendConnector, timeouts: Timeouts = PATIENT, in_flight: int = 500
    ) -> None:
        self.now = START
        self.resolver = FakeResolver()
        self.queue = MemoryQueue(lambda: self.now)
        self.pool = Pool(Finder(self.resolver), clock=lambda: self.now, chance=lambda: 0.5)
        self.logged: list[Attempt] = []
        self.timeouts = timeouts
        self.routing = self.route(*connectors)
        self.delivery = Delivery(
            self.queue,
            self.pool,
            self.routing,
            clock=lambda: self.now,
            chance=lambda: 0.5,
            log_attempts=self._log,
            in_flight=in_flight,
        )
        self.stopping = asyncio.Event()

    def route(self, *connectors: SendConnector, before: Routing | None = None) -> Routing:
        made = make_routing(
            connectors, accepted=OURS, fqdn="mx1.contoso.com", secrets=NO_SECRETS, before=before
        )
        for exit_ in made.exits.values():
            exit_.timeouts = self.timeouts
        return made

    def _log(self, _: QueuedMessage, attempts: Sequence[Attempt], __: float) -> None:
        self.logged += attempts

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.queue.look_again()

    async def attempted(self, *numbers: int, times: int = 1) -> None:
        """Wait until each message was settled so often."""

        def settled() -> bool:
            done = [number for number, _ in self.queue.settled]
            return all(done.count(number) >= times for number in numbers)

        await eventually(settled, what=f"{numbers} settled")


@asynccontextmanager
async def running(world: World) -> AsyncIterator[World]:
    task = asyncio.create_task(world.delivery.run(world.stopping, drain_s=5))
    try:
        yield world
    finally:
        world.stopping.set()
        await task
        assert world.pool.connections == 0


@asynccontextmanager
async def deferring(expiration_timeout: str) -> AsyncIterator[World]:
    """A delivery whose only next hop says: not now."""
    world = World()
    async with SmartHost(answers={"MAIL": "451 4.3.0 later"}) as host:
        world.delivery.configure(world.route(out(host, expiration_timeout=expiration_timeout)))
        async with running(world):
            yield world


def out(
    *hosts: SmartHost, name: str = "out", spaces: Sequence[str] = ("*",), **more: object
) -> SendConnector:
    smart = [f"127.0.0.{number}:{host.port}" for number, host in enumerate(hosts, start=1)]
    return send_connector(name=name, address_spaces=list(spaces), smart_hosts=smart, **more)


def test_a_message_is_delivered_settled_and_logged(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host, running(World(out(host))) as world:
            world.queue.add(message(1, "kate@fabrikam.com", "lee@fabrikam.com"))
            await world.attempted(1)
            assert world.queue.waiting == {}
            assert host.messages[0].recipients == ["kate@fabrikam.com", "lee@fabrikam.com"]
            assert [(a.recipient, a.result, a.reply) for a in world.logged] == [
                ("kate@fabrikam.com", Result.DONE, "250 2.0.0 taken"),
                ("lee@fabrikam.com", Result.DONE, "250 2.0.0 taken"),
            ]
            assert world.logged[0].peer.hop == f"127.0.0.1:{host.port}"

    run(scene())


def test_many_messages_go_over_few_connections_each_exactly_once(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host, running(World(out(host, max_connections=5))) as world:
            for number in range(300):
                world.queue.add(message(number, f"r{number}@fabrikam.com"))
            await eventually(lambda: not world.queue.waiting)
            got = sorted(received.recipients[0] for received in host.messages)
            assert got == sorted(f"r{number}@fabrikam.com" for number in range(300))
            assert host.most_open <= 5
            assert host.connections < 20

    run(scene())


def test_recipients_are_batched_per_next_hop(run: Run) -> None:
    async def scene() -> None:
        east, west = SmartHost(), SmartHost()
        async with smart_hosts(east, west):
            to_west = send_connector(
                name="west", address_spaces=["west.org"], smart_hosts=[f"127.0.0.2:{west.port}"]
            )
            async with running(World(out(east), to_west)) as world:
                world.queue.add(message(1, "a@west.org", "b@east.org", "c@west.org", "d@other.org"))
                await world.attempted(1)
                assert [m.recipients for m in west.messages] == [["a@west.org", "c@west.org"]]
                assert [m.recipients for m in east.messages] == [["b@east.org", "d@other.org"]]

    run(scene())


def test_a_transaction_has_at_most_a_hundred_recipients(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host, running(World(out(host))) as world:
            world.queue.add(message(1, *(f"r{n}@fabrikam.com" for n in range(250))))
            await world.attempted(1)
            assert sorted(len(m.recipients) for m in host.messages) == [50, 100, 100]

    run(scene())


def test_not_now_is_tried_again_after_a_growing_time_and_only_for_those_who_need_it(run: Run) -> None:
    async def scene() -> None:
        def later(line: bytes) -> str | None:
            return "450 4.2.0 later" if b"lee" in line else None

        async with SmartHost(answers={"RCPT": later}) as host, running(World(out(host))) as world:
            world.queue.add(message(1, "kate@fabrikam.com", "lee@fabrikam.com"))
            waits = []
            for times in (1, 2, 3):
                await world.attempted(1, times=times)
                waits.append(world.queue.waiting[1].next_attempt - world.now)
                world.pass_time(waits[-1])
            assert waits == [30, 60, 120]
            host.answers.clear()
            await eventually(lambda: not world.queue.waiting)
            assert [m.recipients for m in host.messages] == [["kate@fabrikam.com"], ["lee@fabrikam.com"]]

    run(scene())


def test_mail_that_cannot_be_delivered_expires_with_a_last_attempt_and_a_bounce(run: Run) -> None:
    async def scene() -> None:
        async with deferring("00:05:00") as world:
            world.queue.add(message(1))
            times = 0
            while world.queue.waiting:
                times += 1
                await world.attempted(1, times=times)
                if 1 in world.queue.waiting:
                    due = world.queue.waiting[1].next_attempt
                    assert due <= START + 300
                    world.pass_time(due - world.now)
            assert world.now == START + 300
            assert world.queue.outcomes(1)[-1] == ("kate@fabrikam.com", Result.EXPIRED)
            [bounce] = world.queue.bounces
            assert b"Status: 5.4.7" in bounce.body
            assert b"451 4.3.0 later" in bounce.body

    run(scene())


def test_a_retry_gives_an_expired_message_all_its_time_again(run: Run) -> None:
    async def scene() -> None:
        async with deferring("00:05:00") as world:
            world.pass_time(EXPIRE_AFTER_S + 86_400)
            again = retried(message(1), now=world.now, expires_at=world.now + EXPIRE_AFTER_S)
            ends = world.now + 300
            world.queue.add(again)
            await world.attempted(1)
            assert world.queue.outcomes(1) == [("kate@fabrikam.com", Result.NOT_NOW)]
            assert world.queue.waiting[1].next_attempt == world.now + 30
            world.pass_time(ends - world.now)
            await world.attempted(1, times=2)
            assert world.queue.outcomes(1)[-1] == ("kate@fabrikam.com", Result.EXPIRED)
            assert len(world.queue.bounces) == 1

    run(scene())


def test_a_long_time_to_live_of_a_send_connector_counts_from_arrival(run: Run) -> None:
    async def scene() -> None:
        async with deferring("4.00:00:00") as world:
            world.now = START + 2 * EXPIRE_AFTER_S - 1
            world.queue.add(message(1))
            await world.attempted(1)
            assert world.queue.waiting[1].next_attempt == START + 2 * EXPIRE_AFTER_S
            world.pass_time(1)
            await world.attempted(1, times=2)
            assert world.queue.outcomes(1)[-1] == ("kate@fabrikam.com", Result.EXPIRED)

    run(scene())


def test_never_is_bounced_once_with_the_headers_alone(run: Run) -> None:
    async def scene() -> None:
        async with (
            SmartHost(answers={"RCPT": "550 5.1.1 no such user"}) as host,
            running(World(out(host))) as world,
        ):
            world.queue.add(message(1), b"Subject: scan\r\nX-Of: printer\r\n\r\nsecret body\r\n")
            await world.attempted(1)
            [bounce] = world.queue.bounces
            assert bounce.envelope.mail_from == ""
            assert bounce.envelope.recipients == ("scanner@contoso.com",)
            assert b"X-Of: printer" in bounce.body
            assert b"secret body" not in bounce.body
            world.queue.add(message(2, mail_from="stranger@elsewhere.org"))
            await world.attempted(2)
            assert len(world.queue.bounces) == 1
            assert world.delivery.bounces.withheld == {"foreign sender": 1}

    run(scene())


def test_the_next_smart_host_takes_over_and_both_have_their_share(run: Run) -> None:
    async def scene() -> None:
        one, two = SmartHost(), SmartHost()
        async with smart_hosts(one, two), running(World(out(one, two))) as world:
            for number in range(40):
                world.queue.add(message(number))
            await eventually(lambda: not world.queue.waiting)
            assert (len(one.messages), len(two.messages)) == (20, 20)
            await one.stop()
            for number in range(40, 60):
                world.queue.add(message(number))
            await eventually(lambda: not world.queue.waiting)
            assert len(two.messages) == 40
            assert all(result is Result.DONE for n in range(60) for _, result in world.queue.outcomes(n))

    run(scene())


def test_after_the_content_no_other_host_gets_the_message(run: Run) -> None:
    async def scene() -> None:
        vague, other = SmartHost(answers={"END": Act.RESET}), SmartHost()
        async with smart_hosts(vague, other), running(World(out(vague, other))) as world:
            world.queue.add(message(1))
            await world.attempted(1)
            assert world.queue.outcomes(1) == [("kate@fabrikam.com", Result.NOT_NOW)]
            assert other.messages == []

    run(scene())


def test_one_dead_smart_host_slows_nobody_else(run: Run) -> None:
    async def scene() -> None:
        dead, alive = SmartHost(answers={"CONNECT": Act.HANG}), SmartHost()
        async with smart_hosts(dead, alive):
            to_dead = send_connector(
                name="dead", address_spaces=["dead.org"], smart_hosts=[f"127.0.0.1:{dead.port}"]
            )
            to_alive = send_connector(name="alive", smart_hosts=[f"127.0.0.2:{alive.port}"])
            # Ten times more mail for the dead host, which never ends a connection, than may be under way.
            async with running(World(to_dead, to_alive, in_flight=50)) as world:
                for number in range(500):
                    world.queue.add(message(number, f"r{number}@dead.org"))
                for number in range(500, 600):
                    world.queue.add(message(number, f"r{number}@alive.org"))

                def arrived() -> bool:
                    world.pass_time(0.3)
                    return len(alive.messages) == 100

                await eventually(arrived)
                assert world.queue.settled[0][0] >= 500
                assert dead.open <= 4
                world.stopping.set()
                await dead.stop()  # so that the end of the test need not wait for it

    run(scene())


def test_a_host_that_failed_rests_and_its_mail_waits_without_a_write(run: Run) -> None:
    async def scene() -> None:
        async with (
            SmartHost(answers={"CONNECT": "421 4.3.2 busy"}) as host,
            running(World(out(host))) as world,
        ):
            world.queue.add(message(1))
            await world.attempted(1)
            dialled = host.connections
            for number in range(2, 10):
                world.queue.add(message(number))
            await eventually(lambda: len(world.queue.put_backs) >= 8)
            assert host.connections == dialled
            assert "busy" in world.pool.resting()[f"127.0.0.1:{host.port}"]
            ((hop, why),) = world.delivery.hops("Kate@Fabrikam.com").items()
            assert (hop, "busy" in why) == (f"127.0.0.1:{host.port}", True)
            assert world.delivery.delivered_at is None
            assert [number for number, _ in world.queue.settled] == [1]
            # The first rest is five seconds; then one connection feels the way, and all is delivered.
            assert all(5 <= due - START <= 7 for _, due in world.queue.put_backs)
            host.answers.clear()
            world.pass_time(100)
            await eventually(lambda: not world.queue.waiting)
            assert len(host.messages) == 9
            assert world.pool.resting() == {}
            assert world.delivery.hops("kate@fabrikam.com") == {f"127.0.0.1:{host.port}": ""}
            assert world.delivery.delivered_at == world.now

    run(scene())


def test_a_retry_is_tried_at_once_though_its_next_hop_rests_and_ends_only_the_rests_before_it(
    run: Run,
) -> None:
    async def scene() -> None:
        async with (
            SmartHost(answers={"CONNECT": "421 4.3.2 busy"}) as host,
            running(World(out(host))) as world,
        ):
            world.queue.add(message(1))
            await world.attempted(1)
            world.pass_time(1)
            world.queue.add(message(2)._replace(next_attempt=world.now))
            await world.attempted(2)
            assert host.connections == 2
            # It failed again, after the retries: those that come now wait for the new rest.
            world.queue.add(message(3)._replace(next_attempt=world.now))
            await eventually(lambda: [number for number, _ in world.queue.put_backs] == [3])
            assert host.connections == 2

    run(scene())


def test_smart_hosts_have_their_share_when_mail_alternates_between_send_connectors(run: Run) -> None:
    async def scene() -> None:
        hosts = [SmartHost() for _ in range(4)]
        async with smart_hosts(*hosts):
            east = [f"127.0.0.{n + 1}:{host.port}" for n, host in enumerate(hosts)]
            to_east = send_connector(name="east", address_spaces=["east.org"], smart_hosts=east[:2])
            to_west = send_connector(name="west", address_spaces=["west.org"], smart_hosts=east[2:])
            async with running(World(to_east, to_west)) as world:
                for number in range(40):
                    world.queue.add(message(number, f"r@{'west' if number % 2 else 'east'}.org"))
                await eventually(lambda: not world.queue.waiting)
                assert [len(host.messages) for host in hosts] == [10, 10, 10, 10]

    run(scene())


def test_mail_without_a_route_waits_and_says_why(run: Run) -> None:
    async def scene() -> None:
        async with running(World()) as world:
            world.queue.add(message(1, "kate@fabrikam.com", "not an address@"))
            await world.attempted(1)
            assert world.queue.outcomes(1)[0] == ("kate@fabrikam.com", Result.NOT_NOW)
            assert world.logged[0].reply == "no send connector has an address space for fabrikam.com"
            async with SmartHost() as host:
                world.delivery.configure(world.route(out(host)))
                world.pass_time(60)
                await eventually(lambda: len(host.messages) == 1)
                world.stopping.set()

    run(scene())


def test_a_damaged_body_is_given_up_and_nothing_of_it_arrives(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host, running(World(out(host))) as world:
            world.queue.add(message(1), None)
            world.queue.add(message(2))
            await world.attempted(1, 2)
            assert world.queue.outcomes(1) == [("kate@fabrikam.com", Result.NEVER)]
            assert world.queue.outcomes(2) == [("kate@fabrikam.com", Result.DONE)]
            assert len(host.messages) == 1

    run(scene())


@pytest.mark.parametrize("error", [SpoolError("the disk is slow"), RuntimeError("boom")])
def test_what_fails_on_our_side_for_one_hop_loses_no_outcome_of_another(run: Run, error: Exception) -> None:
    async def scene() -> None:
        east, west = SmartHost(), SmartHost()
        async with smart_hosts(east, west):
            to_west = send_connector(
                name="west", address_spaces=["west.org"], smart_hosts=[f"127.0.0.2:{west.port}"]
            )
            async with running(World(out(east), to_west)) as world:
                world.queue.unread[1] = error
                world.queue.add(message(1, "a@west.org", "b@east.org"))
                await world.attempted(1)
                [got] = [*east.messages, *west.messages]
                [other] = {"a@west.org", "b@east.org"}.difference(got.recipients)
                assert dict(world.queue.outcomes(1)) == {
                    got.recipients[0]: Result.DONE,
                    other: Result.NOT_NOW,
                }
                world.pass_time(60)
                await eventually(lambda: not world.queue.waiting)
                assert (len(east.messages), len(west.messages)) == (1, 1)

    with mail_events.captured() as told:
        run(scene())
    bugs = [event for event in told if event["event"] == "delivery_failed"]
    assert [event["queue_id"] for event in bugs] == ([1] if isinstance(error, RuntimeError) else [])


def test_when_the_spool_is_closed_nothing_is_settled_or_put_back(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host, running(World(out(host))) as world:
            world.queue.unread[1] = SpoolClosed("closed")
            world.queue.add(message(1))
            await eventually(lambda: host.said("DATA") and not world.delivery._under_way)
            assert (world.queue.settled, world.queue.put_backs) == ([], [])

    run(scene())


def test_a_domain_that_takes_no_mail_bounces_at_once(run: Run) -> None:
    async def scene() -> None:
        world = World(send_connector(dns_routing_enabled=True))
        world.resolver.mail["nomail.org"] = [(0, ".")]
        world.resolver.dead.add("gone.org")
        async with running(world):
            world.queue.add(message(1, "a@nomail.org", "b@gone.org", "c@silent.org"))
            await world.attempted(1)
            told = {attempt.recipient: (attempt.result, attempt.status) for attempt in world.logged}
            assert told["a@nomail.org"] == (Result.NEVER, "5.1.10")
            assert told["b@gone.org"] == (Result.NEVER, "5.1.2")
            assert told["c@silent.org"] == (Result.NOT_NOW, "4.4.3")

    run(scene())


def test_mx_delivery_takes_the_best_host_and_falls_back(run: Run) -> None:
    async def scene() -> None:
        best, backup = SmartHost(), SmartHost()
        async with smart_hosts(best):
            await backup.start("127.0.0.2", best.port)
            world = World(send_connector(dns_routing_enabled=True, port=best.port, allow_private=True))
            world.resolver.mail["fabrikam.com"] = [(20, "b.fabrikam.com."), (10, "a.fabrikam.com.")]
            world.resolver.hosts |= {"a.fabrikam.com": ["127.0.0.1"], "b.fabrikam.com": ["127.0.0.2"]}
            async with running(world):
                world.queue.add(message(1))
                await world.attempted(1)
                assert (len(best.messages), len(backup.messages)) == (1, 0)
                await best.stop()
                world.queue.add(message(2))
                await world.attempted(2)
                assert len(backup.messages) == 1
                world.stopping.set()
            await backup.stop()

    run(scene())


def test_kept_open_connections_that_died_cost_no_message_an_attempt(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host, running(World(out(host, max_connections=8))) as world:
            for number in range(60):
                world.queue.add(message(number))
            await eventually(lambda: not world.queue.waiting)
            port = host.port
            await host.stop()
            again = SmartHost()
            await again.start("127.0.0.1", port)
            world.queue.add(message(100))
            await world.attempted(100)
            assert world.queue.outcomes(100) == [("kate@fabrikam.com", Result.DONE)]
            world.stopping.set()
            await again.stop()

    run(scene())


def test_a_new_config_keeps_connections_of_unchanged_send_connectors(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host, running(World(out(host))) as world:
            world.queue.add(message(1))
            await world.attempted(1)
            world.delivery.configure(world.route(out(host), before=world.routing))
            world.queue.add(message(2))
            await world.attempted(2)
            assert host.connections == 1
            world.delivery.configure(world.route(out(host, fqdn="other.contoso.com"), before=world.routing))
            world.queue.add(message(3))
            await world.attempted(3)
            assert host.connections == 2
            assert host.said("EHLO") == ["EHLO mx1.contoso.com", "EHLO other.contoso.com"]

    run(scene())


def test_at_the_end_attempts_under_way_are_finished(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost() as host:
            world = World(out(host))
            release = asyncio.Event()
            task = asyncio.create_task(world.delivery.run(world.stopping, drain_s=10))
            original = world.queue.settle

            async def slow(*args: object, **more: object) -> object:
                await release.wait()
                return await original(*args, **more)  # type: ignore[arg-type]

            world.queue.settle = slow  # type: ignore[method-assign, assignment]
            world.queue.add(message(1))
            await eventually(lambda: host.messages)
            world.stopping.set()
            release.set()
            await task
            assert world.queue.outcomes(1) == [("kate@fabrikam.com", Result.DONE)]

    run(scene())


def test_at_the_end_nobody_waits_for_a_host_that_hangs(run: Run) -> None:
    async def scene() -> None:
        async with SmartHost(answers={"END": Act.HANG}) as host:
            world = World(out(host, max_connections=1))
            task = asyncio.create_task(world.delivery.run(world.stopping, drain_s=0.01))
            for number in range(5):
                world.queue.add(message(number))
            await eventually(lambda: host.said("DATA"))
            world.stopping.set()
            await task
            # What was in doubt is not now; what only waited was put back as it was.
            assert {number for number, _ in world.queue.settled} | {
                n for n, _ in world.queue.put_backs
            } == set(range(5))
            assert all(rows[0].result is Result.NOT_NOW for _, rows in world.queue.settled)
            assert len(world.queue.settled) <= 2

    run(scene())


def test_a_hasty_timeout_is_not_now(run: Run) -> None:
    async def scene() -> None:
        async with (
            SmartHost(answers={"END": Act.HANG}) as host,
            running(World(out(host), timeouts=HASTY)) as world,
        ):
            world.queue.add(message(1))
            await world.attempted(1)
            assert world.queue.outcomes(1) == [("kate@fabrikam.com", Result.NOT_NOW)]
            assert "timed out" in world.logged[0].reply

    run(scene())


@pytest.mark.parametrize("trouble", ["450 4.7.1 slow down", "421 4.7.0 too many"])
def test_fewer_connections_are_used_when_the_host_complains(run: Run, trouble: str) -> None:
    async def scene() -> None:
        async with SmartHost(answers={"MAIL": trouble}) as host, running(World(out(host))) as world:
            for number in range(20):
                world.queue.add(message(number))
            await eventually(lambda: len(world.queue.settled) >= 20)
            lane = next(iter(world.pool._lanes.values()))
            assert lane._width.limit < 4

    run(scene())
