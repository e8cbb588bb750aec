"""A config comes to run whole or not at all, and what failed is told."""

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.bundle import canonical_bytes
from gatepost.policy.model.document import DialogueTest
from gatepost.signing import Signer, new_seed
from gatepost_agent.control.faults import POINTS
from gatepost_agent.control.state_folder import StateFolder
from tests.agent.control.control_plane import ControlPlane
from tests.agent.control.parts import Agent, Crashed, Port, agent, bundle, connector, connects, relay_for
from tests.support.waiting import eventually

Story = Callable[[Agent], Awaitable[None]]


def play(state_dir: Path, plane: ControlPlane, *stories: Story) -> None:
    """Each story in a process life of its own."""

    async def lives() -> None:
        for story in stories:
            async with agent(state_dir, plane) as made:
                await story(made)

    asyncio.run(lives())


async def settled(made: Agent, generation: int) -> None:
    await eventually(lambda: made.generation == generation and made.is_settled)


def test_a_config_runs_then_settles_and_is_there_after_a_restart(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    port = free_port("127.0.0.1")
    plane.publish(relay_for(port, "192.168.5.10"))

    async def first(made: Agent) -> None:
        assert made.applier.running is None
        assert await made.offered()
        assert made.listeners.addresses() == (f"127.0.0.1:{port}",)
        assert made.outcome == ("applied", "")
        await settled(made, 1)
        assert not await made.offered()  # nothing new

    async def second(made: Agent) -> None:
        assert connects(port)
        assert (made.generation, made.is_settled, made.outcome) == (1, True, ("applied", ""))
        assert made.current.policy is not None

    play(state_dir, plane, first, second)
    assert [p.name for p in state_dir.glob("config-*")] == [f"config-1-{plane.digest[7:19]}.json"]


def test_a_large_bundle_is_fetched_by_digest(plane: ControlPlane, state_dir: Path, free_port: Port) -> None:
    plane.is_inline = False
    plane.publish(relay_for(free_port("127.0.0.1"), "192.168.5.10"))

    async def story(made: Agent) -> None:
        assert await made.offered()
        assert made.generation == 1

    play(state_dir, plane, story)


def _other_signer(plane: ControlPlane, port: int) -> None:
    plane.publish_bytes(canonical_bytes(relay_for(port, "10.9.9.9")), signer=Signer(new_seed()))


def _forged_bundle(plane: ControlPlane, port: int) -> None:
    plane.publish(relay_for(port, "10.9.9.9"))
    plane.bundle = Signer(new_seed()).sign("bundle", canonical_bytes(relay_for(port, "10.9.9.9")))


def _other_bundle(plane: ControlPlane, port: int) -> None:
    plane.publish(relay_for(port, "10.9.9.9"))
    plane.bundle = plane.signer.sign("bundle", canonical_bytes(relay_for(port, "10.9.9.8")))


def _changed(plane: ControlPlane, port: int, **fields: Any) -> None:
    content = json.loads(canonical_bytes(relay_for(port, "10.9.9.9"))) | fields
    plane.publish_bytes(json.dumps(content).encode())


def _failing_test(plane: ControlPlane, port: int) -> None:
    test = DialogueTest(
        name="relays",
        server="mx1",
        remote="10.9.9.9",
        mail_from="a@contoso.com",
        rcpt_to=("b@fabrikam.com",),
        expect="550",
    )
    plane.publish(relay_for(port, "10.9.9.9").model_copy(update={"tests": (test,)}))


WRONG: dict[str, tuple[Callable[[ControlPlane, int], object], str, str]] = {
    "an offer signed by nobody": (_other_signer, "verify", "not a trusted key"),
    "a bundle signed by nobody": (_forged_bundle, "verify", "not a trusted key"),
    "a bundle that was not offered": (_other_bundle, "verify", "offered was"),
    "another server's": (
        lambda p, port: p.publish(relay_for(port, "10.9.9.9"), server_id="srv_mx2"),
        "verify",
        "the offer is for srv_mx2",
    ),
    "an unknown field": (lambda p, port: _changed(p, port, dane=True), "parse", "Remove this field"),
    "an unknown schema": (
        lambda p, port: _changed(p, port, schema_number=2),
        "parse",
        "Input should be 1",
    ),
    "no JSON": (lambda p, port: p.publish_bytes(b"{"), "parse", ""),
    "ranges that nobody could order": (
        lambda p, port: (
            p.publish(
                bundle(
                    connector("A", ["10.0.0.0-10.0.0.9"], f"127.0.0.1:{port}"),
                    connector("B", ["10.0.0.5-10.0.0.20"], f"127.0.0.1:{port}"),
                )
            )
            and None
        ),
        "parse",
        "overlap",
    ),
    "a test that fails": (_failing_test, "test", "expects '550'"),
    "everything as a relay": (
        lambda p, port: p.publish(relay_for(port, "0.0.0.0/0")),
        "guard",
        "public addresses",
    ),
    "a named address that this host lacks": (
        lambda p, port: p.publish(
            bundle(connector("A", ["10.0.0.1"], f"{{internal}}:{port}")), addresses={"internal": "192.0.2.1"}
        ),
        "bind",
        "192.0.2.1",
    ),
    "a named address that the server does not have": (
        lambda p, port: p.publish(bundle(connector("A", ["10.0.0.1"], f"{{internal}}:{port}"))),
        "parse",
        "internal",
    ),
    "a certificate that this host lacks": (
        lambda p, port: p.publish(
            bundle(connector("A", ["10.0.0.1"], f"127.0.0.1:{port}", tls_certificate_name="mx1"))
        ),
        "guard",
        "certificates/mx1 is missing",
    ),
    "ciphers that this host's library does not know": (
        lambda p, port: p.publish(
            bundle(
                connector(
                    "A", ["10.0.0.1"], f"127.0.0.1:{port}", tls_certificate_name="mx1", tls_ciphers="NOSUCH"
                )
            )
        ),
        "guard",
        "connector 'A': tls_ciphers 'NOSUCH'",
    ),
    "an address that this host lacks": (
        lambda p, port: p.publish(bundle(connector("A", ["10.0.0.1"], f"192.0.2.1:{port}"))),
        "bind",
        "192.0.2.1",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_rejected_and_the_old_config_goes_on(
    plane: ControlPlane, state_dir: Path, free_port: Port, what: str
) -> None:
    publish_wrong, phase, told = WRONG[what]
    port = free_port("127.0.0.1")

    async def story(made: Agent) -> None:
        plane.publish(relay_for(port, "192.168.5.10"))
        await made.offered()
        await settled(made, 1)
        policy = made.current.policy
        publish_wrong(plane, port)
        assert await made.offered()
        assert made.outcome == ("rejected", phase)
        assert made.applier.attempt is not None
        assert told in made.applier.attempt.errors[0].detail
        assert made.generation == 1
        assert made.current.policy is policy
        assert connects(port)
        assert not await made.offered()  # not tried again

    async def after_restart(made: Agent) -> None:
        assert (made.generation, made.is_settled) == (1, True)
        assert connects(port)

    play(state_dir, plane, story, after_restart)


def test_a_port_of_another_process_is_a_rejection_that_may_be_retried(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    port = free_port("127.0.0.1")

    async def story(made: Agent) -> None:
        with socket.create_server(("127.0.0.1", port)):
            plane.publish(relay_for(port, "192.168.5.10"))
            await made.offered()
        assert made.outcome == ("rejected", "bind")
        assert made.applier.attempt is not None
        assert made.applier.attempt.errors[0].retryable
        assert made.applier.attempt.errors[0].pointer == "/connectors/0/bindings/0"
        assert made.listeners.addresses() == ()
        plane.publish(relay_for(port, "192.168.5.10"))  # the retry is a new generation
        await made.offered()
        await settled(made, 2)

    play(state_dir, plane, story)


def test_a_forged_offer_does_not_shut_out_the_real_one(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    async def story(made: Agent) -> None:
        real = relay_for(free_port("127.0.0.1"), "192.168.5.10")
        plane.publish_bytes(canonical_bytes(real), signer=Signer(new_seed()))
        await made.offered()
        assert made.outcome == ("rejected", "verify")
        plane.generation = 0
        plane.publish(real)
        await made.offered()
        await settled(made, 1)

    play(state_dir, plane, story)


def test_a_failed_generation_is_not_tried_again_after_a_forged_offer(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    port = free_port("127.0.0.1")

    async def story(made: Agent) -> None:
        with socket.create_server(("127.0.0.1", port)):
            plane.publish(relay_for(port, "192.168.5.10"))
            await made.offered()
        failed = plane.offer, plane.bundle
        plane.publish_bytes(canonical_bytes(relay_for(port, "192.168.5.66")), signer=Signer(new_seed()))
        await made.offered()
        assert made.outcome == ("rejected", "verify")
        plane.offer, plane.bundle = failed
        assert not await made.offered()
        assert made.generation == 0

    play(state_dir, plane, story)


def test_a_bug_at_the_last_step_leaves_the_old_config_for_the_next_start(
    plane: ControlPlane, state_dir: Path, free_port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port("127.0.0.1")

    async def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    async def story(made: Agent) -> None:
        plane.publish(relay_for(port, "192.168.5.10"))
        await made.offered()
        await settled(made, 1)
        monkeypatch.setattr(made.doors, "commit", broken)
        plane.publish(relay_for(port, "192.168.5.11"))
        await made.offered()
        assert made.outcome[0] == "rejected"
        assert made.is_settled
        assert made.generation == 1

    async def afterwards(made: Agent) -> None:
        assert made.generation == 1
        assert made.is_settled
        assert made.outcome[0] == "rejected"

    play(state_dir, plane, story)
    play(state_dir, plane, afterwards)


def test_an_old_offer_is_not_played_again(plane: ControlPlane, state_dir: Path, free_port: Port) -> None:
    port = free_port("127.0.0.1")

    async def story(made: Agent) -> None:
        plane.publish(relay_for(port, "192.168.5.10", "192.168.5.11"))
        old = plane.offer, plane.bundle
        await made.offered()
        await settled(made, 1)
        plane.publish(relay_for(port, "192.168.5.10"))
        await made.offered()
        await settled(made, 2)
        plane.offer, plane.bundle = old
        await made.offered()
        assert made.outcome == ("rejected", "verify")
        assert made.generation == 2

    play(state_dir, plane, story)


def test_a_config_that_does_not_greet_goes_back_and_keeps_shut_what_it_had_removed(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    port = free_port("127.0.0.1")
    listed, removed = parse_address("192.168.5.10"), parse_address("192.168.5.11")

    async def story(made: Agent) -> None:
        plane.publish(relay_for(port, "192.168.5.10", "192.168.5.11"))
        await made.offered()
        await settled(made, 1)
        made.greeting = b""
        plane.publish(relay_for(port, "192.168.5.10"))
        await made.offered()
        await eventually(lambda: made.outcome == ("rolled_back", "probation"))
        assert (made.generation, made.is_settled) == (1, True)
        assert not await made.offered()  # never again
        denial = made.current.denied.lookup(removed)
        assert denial is not None
        assert (denial.effect, denial.source) == ("no_relay", "return")
        assert made.current.denied.lookup(listed) is None

    async def after_restart(made: Agent) -> None:
        assert made.outcome == ("rolled_back", "probation")
        assert made.current.denied.lookup(removed) is not None
        plane.publish(relay_for(port, "192.168.5.10", "192.168.5.11"))
        await made.offered()
        assert made.current.denied.lookup(removed) is None  # ends with the next config applied
        await settled(made, 3)

    async def at_last(made: Agent) -> None:
        assert made.current.denied.lookup(removed) is None

    play(state_dir, plane, story, after_restart, at_last)


def test_a_first_config_that_fails_leaves_no_listener(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    port = free_port("127.0.0.1")

    async def story(made: Agent) -> None:
        made.greeting = b""
        plane.publish(relay_for(port, "192.168.5.10"))
        await made.offered()
        await eventually(lambda: made.outcome == ("rolled_back", "probation"))
        assert made.applier.running is None
        assert made.current.policy is None
        assert not connects(port)

    async def after_restart(made: Agent) -> None:
        assert made.applier.running is None
        assert not connects(port)

    play(state_dir, plane, story, after_restart)


def test_a_newer_offer_does_not_wait_for_a_probation(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    port = free_port("127.0.0.1")

    async def story(made: Agent) -> None:
        plane.publish(relay_for(port, "192.168.5.10", "192.168.5.11"))
        await made.offered()
        await settled(made, 1)
        plane.publish(relay_for(port, "192.168.5.10", "192.168.5.12"), probation_s=600)
        await made.offered()
        assert (made.generation, made.is_settled) == (2, False)
        made.greeting = b""
        plane.publish(relay_for(port, "192.168.5.10"))
        await made.offered()
        assert made.generation == 3
        await eventually(lambda: made.outcome == ("rolled_back", "probation"))
        assert made.generation == 1  # the last one that had proved itself

    play(state_dir, plane, story)


def test_a_clean_stop_in_probation_is_no_crash(plane: ControlPlane, state_dir: Path, free_port: Port) -> None:
    port = free_port("127.0.0.1")

    async def story(made: Agent) -> None:
        plane.publish(relay_for(port, "192.168.5.10", "192.168.5.11"))
        await made.offered()
        await settled(made, 1)
        plane.publish(relay_for(port, "192.168.5.10"), probation_s=600)
        await made.offered()
        await made.applier.stop()

    async def resumed(made: Agent) -> None:
        assert (made.generation, made.is_settled) == (2, False)
        assert made.outcome == ("applied", "")

    async def crashed(made: Agent) -> None:
        assert (made.generation, made.outcome) == (1, ("rolled_back", "crash"))
        assert made.current.denied.lookup(parse_address("192.168.5.11")) is not None

    play(state_dir, plane, story, resumed, crashed)


def test_a_first_config_survives_a_crash_in_probation_but_not_for_ever(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    port = free_port("127.0.0.1")

    async def story(made: Agent) -> None:
        plane.publish(relay_for(port, "192.168.5.10"), probation_s=600)
        await made.offered()

    async def resumed(made: Agent) -> None:
        assert (made.generation, made.is_settled) == (1, False)
        assert connects(port)

    async def given_up(made: Agent) -> None:
        assert made.applier.running is None
        assert made.outcome == ("rolled_back", "crash")

    play(state_dir, plane, story, resumed, resumed, given_up)


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_step_leaves_the_old_or_the_new_config_whole(
    plane: ControlPlane, state_dir: Path, free_port: Port, point: str
) -> None:
    port, other = free_port("127.0.0.1"), free_port("127.0.0.1")
    removed = parse_address("192.168.5.11")

    def crash(passed: str) -> None:
        if passed == point and plane.generation == 2:
            raise Crashed

    async def first() -> None:
        async with agent(state_dir, plane) as made:
            plane.publish(relay_for(port, "192.168.5.10", "192.168.5.11"))
            await made.offered()
            await settled(made, 1)

    async def crashing() -> None:
        async with agent(state_dir, plane, crash) as made:
            plane.publish(relay_for(other, "192.168.5.10"))
            await made.offered()
            await asyncio.sleep(30)

    async def restarted() -> tuple[int, tuple[str, str]]:
        async with agent(state_dir, plane) as made:
            is_new = made.generation == 2
            assert made.listeners.addresses() == (f"127.0.0.1:{other if is_new else port}",)
            assert made.is_settled
            assert made.current.policy is not None
            may_relay = (
                made.current.policy.select
            )  # the old config lists the removed host, the new one does not
            del may_relay
            denied = made.current.denied.lookup(removed) is not None
            if made.outcome[0] == "rolled_back":
                assert denied
            return made.generation, made.outcome

    asyncio.run(first())
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group of them when a task crashed
        asyncio.run(crashing())
    assert (
        caught.group_contains(Crashed)
        if isinstance(caught.value, BaseExceptionGroup)
        else caught.type is Crashed
    )
    generation, outcome = asyncio.run(restarted())
    at = POINTS.index(point)
    if at < POINTS.index("trying:renamed"):
        assert (generation, outcome) == (1, ("applied", ""))
    elif at < POINTS.index("settled:renamed"):
        assert (generation, outcome) == (1, ("rolled_back", "crash"))
    else:
        assert (generation, outcome) == (2, ("applied", ""))


@pytest.mark.parametrize("point", [p for p in POINTS if p.endswith((":written", ":synced"))])
def test_a_full_disk_at_any_write_leaves_a_whole_config_running(
    plane: ControlPlane, state_dir: Path, free_port: Port, point: str
) -> None:
    port = free_port("127.0.0.1")
    is_full = [True]

    def full(passed: str) -> None:
        if passed == point and plane.generation == 2 and is_full[0]:
            raise OSError(28, "No space left on device")

    async def story() -> None:
        async with agent(state_dir, plane, full) as made:
            plane.publish(relay_for(port, "192.168.5.10", "192.168.5.11"))
            await made.offered()
            await settled(made, 1)
            plane.publish(relay_for(port, "192.168.5.10"))
            await made.offered()
            if point.startswith("settled"):
                await eventually(lambda: not made.applier.stored)
                assert (made.generation, made.is_settled) == (2, False)
                return
            assert made.outcome == ("rejected", "persist")
            assert made.generation == 1
            is_full[0] = False
            plane.publish(relay_for(port, "192.168.5.10"))
            await made.offered()
            await settled(made, 3)

    asyncio.run(story())


def test_a_temporary_host_leaves_on_time(plane: ControlPlane, state_dir: Path, free_port: Port) -> None:
    port = free_port("127.0.0.1")
    ends = time.time() + 3600
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))

    async def story(made: Agent) -> None:
        entry = {"range": "192.168.5.11", "expires_at": until}
        plane.publish(bundle(connector("Relay", ["192.168.5.10", entry], f"127.0.0.1:{port}", relays=True)))
        await made.offered()
        await settled(made, 1)
        policy = made.current.policy
        assert policy is not None
        assert policy.next_change == pytest.approx(ends, abs=1)
        made.now = lambda: ends + 1
        await made.applier.recompile()
        assert made.current.policy is not None
        assert made.current.policy.next_change is None
        made.now = lambda: ends - 1800  # the host's clock goes back: what has expired stays so
        await made.applier.recompile()
        assert made.current.policy.next_change is None

    play(state_dir, plane, story)


def test_at_a_start_a_missing_port_closes_its_own_door_only(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    one, other = free_port("127.0.0.1"), free_port("127.0.0.1")

    async def story(made: Agent) -> None:
        plane.publish(bundle(connector("A", ["10.0.0.1"], f"127.0.0.1:{one}", f"127.0.0.1:{other}")))
        await made.offered()
        await settled(made, 1)

    async def restarted(made: Agent) -> None:
        assert list(made.doors.missing) == [f"127.0.0.1:{other}"]
        assert connects(one)
        taken.close()
        await made.applier.open_doors()
        assert made.doors.missing == {}
        assert connects(other)

    play(state_dir, plane, story)
    taken = socket.create_server(("127.0.0.1", other))
    play(state_dir, plane, restarted)


def test_a_start_on_a_full_disk_serves_what_the_disk_says(
    plane: ControlPlane, state_dir: Path, free_port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port("127.0.0.1")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    async def story(made: Agent) -> None:
        plane.publish(relay_for(port, "192.168.5.10"))
        await made.offered()
        await settled(made, 1)
        plane.publish(relay_for(port, "192.168.5.11"), probation_s=600)
        await made.offered()

    async def on_a_full_disk(made: Agent) -> None:
        assert made.generation == 1
        assert made.outcome == ("rolled_back", "crash")
        assert not made.applier.stored
        assert connects(port)

    play(state_dir, plane, story)
    monkeypatch.setattr(StateFolder, "write", full)
    play(state_dir, plane, on_a_full_disk)


def test_a_guard_made_stricter_holds_from_the_next_start_on(
    plane: ControlPlane, state_dir: Path, free_port: Port
) -> None:
    port = free_port("127.0.0.1")

    async def story(made: Agent) -> None:
        plane.publish(relay_for(port, "192.168.5.10"))
        await made.offered()
        await settled(made, 1)

    async def refused(made: Agent) -> None:
        assert made.applier.running is None
        assert not connects(port)
        made.guard_file.unlink()

    async def allowed(made: Agent) -> None:
        assert (made.generation, made.is_settled) == (1, True)

    play(state_dir, plane, story)
    (state_dir / "guard.toml").write_text('relay = ["10.0.0.0/8"]', encoding="utf-8")
    play(state_dir, plane, refused, allowed)


def test_a_damaged_config_is_not_run(plane: ControlPlane, state_dir: Path, free_port: Port) -> None:
    port = free_port("127.0.0.1")

    async def story(made: Agent) -> None:
        plane.publish(relay_for(port, "192.168.5.10"))
        await made.offered()
        await settled(made, 1)

    async def restarted(made: Agent) -> None:
        assert made.applier.running is None
        assert not connects(port)
        await made.offered()  # the control plane sees that it is lost, and offers it again
        await settled(made, 1)

    play(state_dir, plane, story)
    path = next(state_dir.glob("config-1-*"))
    path.write_bytes(path.read_bytes()[:-40])
    play(state_dir, plane, restarted)
