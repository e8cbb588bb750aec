"""Every test with a socket runs on both event loops."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine to its end on a fresh loop; a task that failed unseen fails the test."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def go(scene: Coroutine[Any, Any, None]) -> None:
        unseen: list[dict[str, Any]] = []

        async def watched() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
            await scene

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(watched())
        assert unseen == []

    return go


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """The CA that our smart hosts' certificates come from."""
    return trustme.CA()


@pytest.fixture
def config_folder(tmp_path: Path, authority: trustme.CA) -> Path:
    """An agent's config folder that trusts `authority` as corp-ca.pem."""
    folder = tmp_path / "config"
    for kind in ("credentials", "certificates", "trust"):
        (folder / kind).mkdir(parents=True)
    authority.cert_pem.write_to_path(str(folder / "trust" / "corp-ca.pem"))
    return folder
