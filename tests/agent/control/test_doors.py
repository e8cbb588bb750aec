"""Listeners: all or none for a new config; as many as can be had at a start; shut when asked to."""

import asyncio
from collections.abc import Iterable

import pytest

from gatepost.policy.model.addresses import Binding, parse_binding
from gatepost_agent.control.doors import Doors
from gatepost_agent.control.verify import Rejected
from gatepost_agent.current import ListenError


class Host:
    """Sockets that can be had unless `taken` says why not; `failing` ones bind but cannot listen."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.failing: set[str] = set()
        self.held: tuple[str, ...] = ()

    def addresses(self) -> tuple[str, ...]:
        """As current.Listening."""
        return self.held

    async def stage(self, bindings: Iterable[Binding]) -> "Stage":
        wanted = tuple(map(str, bindings))
        for binding in wanted:
            if binding in self.taken:
                raise ListenError(binding, "in use", retryable=True)
        return Stage(self, wanted)


class Stage:
    def __init__(self, host: Host, wanted: tuple[str, ...]) -> None:
        self._host, self._wanted = host, wanted

    async def commit(self) -> None:
        for binding in self._wanted:
            if binding in self._host.failing:
                raise ListenError(binding, "cannot listen", retryable=False)
        self._host.held = self._wanted

    async def abandon(self) -> None:
        """Nothing is held."""


def _bindings(*texts: str) -> tuple[Binding, ...]:
    return tuple(parse_binding(text) for text in texts)


ONE, TWO = "10.0.0.1:25", "10.0.0.2:25"


def test_a_new_config_gets_all_or_nothing() -> None:
    host = Host()
    doors = Doors(host)

    async def story() -> None:
        host.taken = {TWO}
        with pytest.raises(Rejected) as caught:
            await doors.stage(_bindings(ONE, TWO))
        assert (caught.value.phase, caught.value.errors[0].retryable) == ("bind", True)
        host.taken, host.failing = set(), {TWO}
        staged = await doors.stage(_bindings(ONE, TWO))
        with pytest.raises(Rejected) as caught:
            await doors.commit(staged, _bindings(ONE, TWO))
        assert (caught.value.phase, caught.value.errors[0].retryable) == ("listen", False)
        assert host.addresses() == ()

    asyncio.run(story())


@pytest.mark.parametrize("trouble", ["taken", "failing"])
def test_a_start_opens_what_can_be_had_and_tries_the_rest_again(trouble: str) -> None:
    host = Host()
    doors = Doors(host)

    async def story() -> None:
        setattr(host, trouble, {TWO})
        await doors.open(_bindings(ONE, TWO))
        assert host.addresses() == (ONE,)
        assert list(doors.missing) == [TWO]
        setattr(host, trouble, set())
        await doors.retry()
        assert host.addresses() == (ONE, TWO)
        assert doors.missing == {}

    asyncio.run(story())


def test_trouble_with_none_of_ours_ends() -> None:
    host = Host()
    doors = Doors(host)

    async def elsewhere(bindings: Iterable[Binding]) -> Stage:
        del bindings
        raise ListenError("somewhere", "odd", retryable=False)

    async def story() -> None:
        host.stage = elsewhere  # type: ignore[method-assign]
        await doors.open(_bindings(ONE, TWO))
        assert set(doors.missing) == {ONE, TWO}

    asyncio.run(story())


def test_shut_doors_stay_shut_whatever_is_applied() -> None:
    host = Host()
    doors = Doors(host)

    async def story() -> None:
        await doors.open(_bindings(ONE))
        await doors.close_all("silence")
        assert host.addresses() == ()
        staged = await doors.stage(_bindings(TWO))
        await doors.commit(staged, _bindings(TWO))
        assert host.addresses() == ()
        assert not doors.is_drifted()
        await doors.reopen()
        assert host.addresses() == (TWO,)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("wanted", "held", "drifted"),
    [
        ((ONE, TWO), (ONE, TWO), False),
        ((ONE, TWO), (ONE,), True),
        ((ONE,), (ONE, TWO), True),
        (("0.0.0.0:25", ONE), ("0.0.0.0:25",), False),  # a wildcard serves the addresses of its port
        (("0.0.0.0:25", "10.0.0.1:587"), ("0.0.0.0:25",), True),
        (("0.0.0.0:25", "[::1]:25"), ("0.0.0.0:25",), True),
    ],
)
def test_drift_is_seen(wanted: tuple[str, ...], held: tuple[str, ...], *, drifted: bool) -> None:
    host = Host()
    doors = Doors(host)
    asyncio.run(doors.open(_bindings(*wanted)))
    host.held = held
    assert doors.is_drifted() is drifted
