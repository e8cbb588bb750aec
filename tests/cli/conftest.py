"""The command against a real control plane on a loopback port, with agents that behave as they are told."""

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
import structlog
import uvicorn

from gatepost.cli.app import execute
from gatepost.client import Client
from gatepost_api.auth import Role
from tests.support.control_plane import FakeAgent, World, control_plane, copy_of, sqlite_template

T = TypeVar("T")
RELAY = "Anonymous Relay"


class Plane:
    """A control plane in a thread of its own: its address, its tokens, and its world for what agents do."""

    def __init__(self, url: str, world: World, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self.world = world
        self._loop = loop
        self._followers: list[Future[None]] = []

    def do(self, work: Awaitable[T]) -> T:
        """Run something of the world's on the world's loop."""

        async def inner() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(inner(), self._loop).result(timeout=30)

    def token(self, role: Role) -> str:
        return str(self.world.clients[role].headers["Authorization"]).removeprefix("Bearer ")

    def client(self, role: Role = Role.admin) -> Client:
        return Client(self.url, self.token(role))

    def enroll(self, name: str, **granted: Any) -> FakeAgent:
        return self.do(self.world.enroll(name, **granted))

    def following(self, agent: FakeAgent) -> None:
        """Let an agent check in, again and again, until the control plane ends."""

        async def follow() -> None:
            while True:
                await agent.checkin(wait_s=1)

        self._followers.append(asyncio.run_coroutine_threadsafe(follow(), self._loop))

    def end_followers(self) -> None:
        """Stop the agents; one that had failed makes the test fail."""
        for follower in self._followers:
            if not follower.cancel():
                follower.result()


async def _serve(database: str, folder: Path, ready: Callable[[Plane], None], stop: asyncio.Event) -> None:
    async with control_plane(database, folder) as world:
        config = uvicorn.Config(world.app, lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(server.serve(sockets=[listening]), name="uvicorn")
                ready(Plane(url, world, asyncio.get_running_loop()))
                await stop.wait()
                world.app.state.parking.drain()
                server.should_exit = True


@pytest.fixture(scope="session")
def quiet_logs() -> Iterator[None]:
    """The control plane's log is not what these tests read."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sqlite_template(tmp_path_factory.mktemp("cli-template"))


@contextmanager
def running(template: Path, folder: Path) -> Iterator[Plane]:
    """A fresh control plane on SQLite, in a thread."""
    stop = asyncio.Event()
    ready = threading.Event()
    found: list[Plane] = []
    loop = asyncio.new_event_loop()

    def tell(started: Plane) -> None:
        found.append(started)
        ready.set()

    def work() -> None:
        try:
            loop.run_until_complete(_serve(copy_of(template, folder), folder, tell, stop))
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=work, name="control plane")
    thread.start()
    assert ready.wait(30)
    assert found, "the control plane did not start"
    yield found[0]
    found[0].end_followers()
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def plane(template: Path, quiet_logs: None, tmp_path: Path) -> Iterator[Plane]:
    """A control plane of the test's own."""
    with running(template, tmp_path) as started:
        yield started


@pytest.fixture(scope="session")
def idle_plane(template: Path, quiet_logs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A control plane that nobody changes: for reading, and for what is refused."""
    with running(template, tmp_path_factory.mktemp("idle")) as started:
        yield started


class Ran(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Gatepost = Callable[..., Ran]


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Gatepost:
    """`bare("servers", "--output", "json")`: the command with no setting in its environment."""
    for name in ("GATEPOST_URL", "GATEPOST_TOKEN", "GATEPOST_CA_FILE"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: object) -> Ran:
        capsys.readouterr()
        code = execute([str(word) for word in words])
        return Ran(int(code), *capsys.readouterr())

    return run


@pytest.fixture
def gatepost(plane: Plane, bare: Gatepost, monkeypatch: pytest.MonkeyPatch) -> Gatepost:
    """The command as an admin of the test's control plane; `role=Role.viewer` asks as somebody else."""
    return _against(plane, bare, monkeypatch)


@pytest.fixture
def reading(idle_plane: Plane, bare: Gatepost, monkeypatch: pytest.MonkeyPatch) -> Gatepost:
    """The same, where nothing is changed."""
    return _against(idle_plane, bare, monkeypatch)


def _against(plane: Plane, bare: Gatepost, monkeypatch: pytest.MonkeyPatch) -> Gatepost:

    def run(*words: object, role: Role = Role.admin) -> Ran:
        monkeypatch.setenv("GATEPOST_URL", plane.url)
        monkeypatch.setenv("GATEPOST_TOKEN", plane.token(role))
        return bare(*words)

    return run


@pytest.fixture
def fleet_file(tmp_path: Path) -> Callable[[str], Path]:
    """`fleet_file(text)`: a document in a file."""

    def write(text: str) -> Path:
        path = tmp_path / "fleet.yaml"
        path.write_text(text, "utf-8")
        return path

    return write
