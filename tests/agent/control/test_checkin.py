"""The check-in loop: what is said, what is obeyed, and what changes nothing."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatepost.policy.model.addresses import parse_address
from gatepost.signing import Signer, new_seed
from gatepost.wire import CounterSet, DeviceRow, Directives, Health, HitRow
from gatepost_agent.control.checkin import Cadence, CheckIn, Parts
from gatepost_agent.control.credential import Credential
from gatepost_agent.control.enrolment import Asked, enrolled
from gatepost_agent.control.identity import load_tokens
from gatepost_agent.control.keys import Keys
from gatepost_agent.control.link import Link
from gatepost_agent.control.report import Reporter, Sources
from gatepost_agent.control.state_folder import StateFolder
from tests.agent.control.control_plane import ControlPlane, Trouble
from tests.agent.control.parts import Agent, Port, agent, connects, relay_for
from tests.support.waiting import eventually

QUICK = Cadence(first_s=0, interval_s=60, retry_max_s=0.05, turned_away_s=0.05)


class Figures:
    """A relay's figures that a test sets."""

    def __init__(self) -> None:
        self.totals = {"Relay": {"accepted": 1}}
        self.renewed = 0
        self.acknowledged: list[CounterSet] = []

    def counters(self) -> tuple[CounterSet, ...]:
        return (CounterSet(incarnation="incarnation-1", totals=self.totals),)

    def devices(self) -> tuple[DeviceRow, ...]:
        return ()

    def hits(self) -> tuple[HitRow, ...]:
        return ()

    def queue(self) -> dict[str, float]:
        return {"messages": 3}

    def acknowledge(self, counted: CounterSet) -> None:
        self.acknowledged.append(counted)

    def renew(self) -> None:
        self.renewed += 1


class Talking:
    """An agent in conversation."""

    def __init__(self, made: Agent, link: Link, checkin: CheckIn, keys: Keys, figures: Figures) -> None:
        self.agent, self.link, self.checkin, self.keys, self.figures = made, link, checkin, keys, figures


@contextlib.asynccontextmanager
async def talking(state_dir: Path, plane: ControlPlane, cadence: Cadence = QUICK) -> AsyncIterator[Talking]:
    await enrolled(state_dir, Asked((plane.url,), plane.token, "mx1"))
    async with agent(state_dir, plane) as made:
        folder = StateFolder.open(state_dir)
        figures, credential, changed = Figures(), Credential(folder), asyncio.Event()
        made.on_change = changed.set
        link = Link((plane.url,), bearer=credential)
        keys = Keys(folder, link)
        reporter = Reporter(
            Sources(
                standing=made.applier,
                figures=figures,
                health=lambda: Health(status="ok"),
                listening=made.doors.addresses,
                denied_version=lambda: made.denials.fleet.version,
            )
        )
        made.keys = keys.trusted
        parts = Parts(link, reporter, made.applier, made.denials, made.clock, credential, keys, cadence)
        checkin = CheckIn(parts, changed)
        try:
            async with asyncio.TaskGroup() as tasks:
                loop = tasks.create_task(checkin.run())
                yield Talking(made, link, checkin, keys, figures)
                loop.cancel()
        finally:
            await link.close()


def test_a_publish_is_taken_up_at_once_and_told(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    port = free_port("127.0.0.1")

    async def story() -> None:
        async with talking(state_dir, plane) as t:
            await eventually(lambda: plane.reports)
            first = plane.reports[0]
            assert (first.running, first.last_attempt, first.seq) == (None, None, 1)
            assert first.facts is not None
            assert first.queue == {"messages": 3}
            plane.publish(relay_for(port, "192.168.5.10"))
            await eventually(lambda: plane.last is not None and plane.last.running is not None)
            await eventually(
                lambda: plane.last is not None and plane.last.running and plane.last.running.settled
            )
            assert t.agent.generation == 1
            assert plane.last is not None
            assert plane.last.last_attempt is not None
            assert plane.last.last_attempt.outcome == "applied"
            assert [report.seq for report in plane.reports] == list(range(1, len(plane.reports) + 1))

    asyncio.run(story())


def test_what_is_known_is_not_said_again(plane: ControlPlane, state_dir: Path, free_port: Port) -> None:
    async def story() -> None:
        async with talking(state_dir, plane) as t:
            await eventually(lambda: plane.reports)
            plane.directives = Directives(wait_s=60)
            plane.wake()
            await eventually(lambda: len(plane.reports) > 1)
            assert plane.reports[0].counters
            assert plane.reports[1].facts is None
            assert plane.reports[1].counters == ()
            assert t.figures.acknowledged == list(plane.reports[0].counters)
            t.figures.totals = {"Relay": {"accepted": 2}}
            plane.directives = Directives(resend_facts=True)
            plane.wake()
            await eventually(lambda: plane.last is not None and plane.last.facts is not None)
            assert plane.last is not None
            assert plane.last.counters[0].totals == {"Relay": {"accepted": 2}}

    asyncio.run(story())


def test_a_copy_of_a_host_begins_a_new_incarnation(plane: ControlPlane, state_dir: Path) -> None:
    async def story() -> None:
        async with talking(state_dir, plane) as t:
            await eventually(lambda: plane.reports)
            plane.directives = Directives(new_incarnation=True)
            plane.wake()
            await eventually(lambda: len(plane.reports) > 1)
            assert plane.reports[1].incarnation != plane.reports[0].incarnation
            assert t.figures.renewed == 1

    asyncio.run(story())


TROUBLES: dict[str, Trouble] = {
    "401": (401, {}, b""),
    "403": (403, {}, b"{}"),
    "409": (409, {}, json.dumps({"title": "Two hosts"}).encode()),
    "410": (410, {}, b""),
    "429": (429, {"Retry-After": "0"}, b""),
    "500": (500, {}, b"Traceback"),
    "503": (503, {"Retry-After": "0"}, b""),
    "a redirect": (302, {"Location": "http://127.0.0.1:1/"}, b""),
    "garbage": (200, {}, b"<html>Please log in</html>"),
    "an empty answer": (200, {}, b""),
    "an empty object": (200, {}, b"{}"),
    "an unknown field": (
        200,
        {},
        json.dumps({"server_time": 1, "acknowledged_seq": 1, "drain": True}).encode(),
    ),
    "a wait that is no number": (
        200,
        {},
        json.dumps(
            {"server_time": 1, "acknowledged_seq": 1, "directives": {"wait_s": float("nan")}}
        ).encode(),
    ),
}


@pytest.mark.parametrize("what", TROUBLES)
def test_nothing_that_goes_wrong_there_changes_what_is_relayed(
    plane: ControlPlane, state_dir: Path, free_port: Port, what: str
) -> None:
    port = free_port("127.0.0.1")

    async def story() -> None:
        async with talking(state_dir, plane) as t:
            plane.publish(relay_for(port, "192.168.5.10"))
            await eventually(lambda: t.agent.is_settled)
            policy = t.agent.current.policy
            plane.trouble = TROUBLES[what]
            plane.wake()
            await eventually(lambda: t.checkin.contact.problem)
            asked = len(plane.asked)
            await eventually(lambda: len(plane.asked) > asked + 1)  # it keeps asking
            assert t.agent.current.policy is policy
            assert t.agent.is_settled
            assert connects(port)
            plane.trouble = None
            await eventually(lambda: not t.checkin.contact.problem)
            plane.publish(relay_for(port, "192.168.5.11"))
            await eventually(lambda: t.agent.generation == 2)

    asyncio.run(story())


def test_a_report_that_cannot_be_made_ends_nothing(
    plane: ControlPlane, state_dir: Path, free_port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port("127.0.0.1")

    def impossible() -> tuple[DeviceRow, ...]:
        tried.append(1)
        return (DeviceRow(address="x" * 1025),)

    tried: list[int] = []

    async def story() -> None:
        async with talking(state_dir, plane) as t:
            plane.publish(relay_for(port, "192.168.5.10"))
            await eventually(lambda: t.agent.is_settled)
            with monkeypatch.context() as patched:
                patched.setattr(t.figures, "devices", impossible)
                plane.wake()
                await eventually(lambda: len(tried) > 1)
                assert connects(port)
            plane.publish(relay_for(port, "192.168.5.11"))
            await eventually(lambda: t.agent.generation == 2)

    asyncio.run(story())


def test_a_control_plane_that_answers_at_once_is_not_asked_at_full_speed(
    plane: ControlPlane, state_dir: Path
) -> None:
    empty = {"server_time": time.time(), "acknowledged_seq": 1}
    plane_answer: Trouble = (200, {}, json.dumps(empty).encode())

    async def story() -> None:
        async with talking(state_dir, plane, QUICK._replace(retry_max_s=30)):
            await eventually(lambda: plane.reports)
            plane.trouble = plane_answer
            plane.wake()
            asked = len(plane.asked)
            await asyncio.sleep(1)
            assert len(plane.asked) - asked < 8

    asyncio.run(story())


def test_the_next_address_is_asked_when_one_is_dead(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    async def story() -> None:
        async with talking(state_dir, plane) as t:
            await t.link.use((f"http://127.0.0.1:{free_port('127.0.0.1')}", plane.url))
            plane.directives = Directives(wait_s=50)
            plane.wake()
            await eventually(lambda: t.link.url == plane.url)
            seen = len(plane.reports)
            await eventually(lambda: len(plane.reports) > seen)

    asyncio.run(story())


def test_a_token_is_rotated_and_the_old_one_dies_with_the_first_use(
    plane: ControlPlane, state_dir: Path
) -> None:
    async def story() -> None:
        async with talking(state_dir, plane) as t:
            await eventually(lambda: plane.reports)
            plane.directives = Directives(rotate_token=True)
            plane.wake()
            await eventually(lambda: plane.agent_token == "gp_agt_second")
            assert load_tokens(StateFolder.open(state_dir)).token == "gp_agt_second"
            assert not t.checkin.contact.problem

    asyncio.run(story())


def test_a_rotation_that_was_forgotten_there_falls_back(plane: ControlPlane, state_dir: Path) -> None:
    async def story() -> None:
        async with talking(state_dir, plane) as t:
            await eventually(lambda: plane.reports)
            plane.directives = Directives(rotate_token=True)
            plane.wake()
            await eventually(lambda: plane.agent_token == "gp_agt_second")
            plane.agent_token = "gp_agt_first"  # restored from a backup
            plane.directives = Directives(wait_s=50)
            plane.wake()
            await eventually(lambda: plane.last is not None and plane.last.seq > 2)
            await eventually(lambda: not t.checkin.contact.problem)

    asyncio.run(story())


def test_a_token_that_the_disk_does_not_take_leaves_the_old_one_in_use(
    plane: ControlPlane, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    async def story() -> None:
        async with talking(state_dir, plane) as t:
            await eventually(lambda: plane.reports)
            monkeypatch.setattr(StateFolder, "write", full)
            plane.directives = Directives(rotate_token=True)
            plane.wake()
            await eventually(lambda: plane.next_token)
            seen = len(plane.reports)
            await eventually(lambda: len(plane.reports) > seen)
            assert plane.agent_token == "gp_agt_first"
            monkeypatch.undo()
            plane.deny("192.168.5.66")
            await eventually(lambda: t.agent.denials.fleet.version == 1)

    asyncio.run(story())


def test_a_block_counts_at_once_and_stays_on_disk(plane: ControlPlane, state_dir: Path) -> None:
    blocked = parse_address("192.168.5.66")

    async def story() -> None:
        async with talking(state_dir, plane) as t:
            await eventually(lambda: plane.reports)
            plane.deny("192.168.5.66")
            await eventually(lambda: t.agent.current.denied.lookup(blocked))
            await eventually(lambda: plane.last is not None and plane.last.denied_version == 1)
        plane.trouble = (500, {}, b"")
        async with talking(state_dir, plane) as t:
            denial = t.agent.current.denied.lookup(blocked)
            assert denial is not None
            assert denial.effect == "no_service"

    asyncio.run(story())


def test_a_denied_list_signed_by_a_stranger_or_unreadable_changes_nothing(
    plane: ControlPlane, state_dir: Path
) -> None:
    async def story() -> None:
        async with talking(state_dir, plane) as t:
            plane.deny("192.168.5.66")
            await eventually(lambda: t.agent.denials.fleet.version == 1)
            plane.deny("192.168.5.0/33")
            await eventually(lambda: t.checkin.denied_problem)
            assert t.agent.denials.fleet.version == 1
            real, plane.signer = plane.signer, Signer(new_seed())
            plane.deny("192.168.5.67")
            await eventually(lambda: "not a trusted key" in t.checkin.denied_problem)
            assert t.agent.current.denied.lookup(parse_address("192.168.5.66")) is not None
            plane.signer = real
            plane.deny("192.168.5.67")
            await eventually(lambda: t.agent.denials.fleet.version == 4)
            assert t.checkin.denied_problem == ""

    asyncio.run(story())


def test_a_new_key_signed_by_the_old_one_is_trusted(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    async def story() -> None:
        async with talking(state_dir, plane) as t:
            await eventually(lambda: plane.reports)
            new = Signer(new_seed())
            plane.ring = (new.public.text, plane.signer.public.text)
            plane.publish(relay_for(free_port("127.0.0.1"), "192.168.5.10"))
            assert plane.offer is not None
            old = plane.signer
            # The ring is still signed by the old key; offers already come from the new one.
            plane.generation = 0
            plane.offer = None
            plane.ring_signer, plane.signer = old, new
            plane.publish(relay_for(free_port("127.0.0.1"), "192.168.5.10"))
            await eventually(lambda: t.agent.generation == 1)
            assert new.public in t.keys.trusted()

    asyncio.run(story())


def test_a_lost_key_needs_an_operator(plane: ControlPlane, state_dir: Path, free_port: Port) -> None:
    async def story() -> None:
        async with talking(state_dir, plane) as t:
            await eventually(lambda: plane.reports)
            plane.signer = Signer(new_seed())
            plane.ring = (plane.signer.public.text,)
            plane.publish(relay_for(free_port("127.0.0.1"), "192.168.5.10"))
            await eventually(lambda: t.agent.outcome == ("rejected", "verify"))
            t.keys.expect(plane.signer.public.fingerprint)
            plane.publish(relay_for(free_port("127.0.0.1"), "192.168.5.10"))
            await eventually(lambda: t.agent.generation == 2)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("ahead_s", "moves"), [(3600.0, True), (-3600.0, False), (90_000.0, False), (-90_000.0, False)]
)
def test_the_servers_clock_moves_ours_forward_by_a_day_at_most(
    plane: ControlPlane, state_dir: Path, ahead_s: float, *, moves: bool
) -> None:
    plane.server_time = lambda: time.time() + ahead_s

    async def story() -> None:
        async with talking(state_dir, plane) as t:
            plane.directives = Directives(wait_s=50)
            await eventually(lambda: t.agent.clock.skew_s is not None)
            assert (t.agent.clock.now() - time.time() > 3000) == moves
            assert t.agent.clock.trouble()

    asyncio.run(story())


def test_a_start_with_mail_to_serve_waits_a_moment_before_it_dials(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    async def story() -> None:
        async with talking(state_dir, plane) as t:
            plane.publish(relay_for(free_port("127.0.0.1"), "192.168.5.10"))
            await eventually(lambda: t.agent.is_settled)
        async with talking(state_dir, plane, QUICK._replace(first_s=3600)) as t:
            assert t.agent.generation == 1
            await asyncio.sleep(0.1)
            assert len({report.incarnation for report in plane.reports}) == 1

    asyncio.run(story())


def test_a_stop_is_told(plane: ControlPlane, state_dir: Path) -> None:
    async def story() -> None:
        async with talking(state_dir, plane) as t:
            await t.checkin.goodbye()
            assert plane.goodbyes == 1
            plane.trouble = (500, {}, b"")
            await t.checkin.goodbye()  # not being heard is no trouble

    asyncio.run(story())
