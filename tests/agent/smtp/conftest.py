"""Both event loops, and the SMTP side on a free port of each."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import uvloop

from gatepost_agent.smtp import account
from tests.support.smtp import Shell, smtp_shell

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """`run(coroutine)` on a fresh event loop, once for each kind."""
    factory = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner.run


@pytest.fixture
def serve(run: Run, tmp_path: Path, free_port: Callable[[str], int]) -> Callable[..., None]:
    """`serve(story, **settings)`: run `story(shell)` against the SMTP side with the connector's settings."""

    def _serve(story: Callable[[Shell], Awaitable[None]], **settings: Any) -> None:
        async def live() -> None:
            async with smtp_shell(tmp_path, free_port("0.0.0.0"), **settings) as shell:
                await story(shell)

        run(live())

    return _serve


@pytest.fixture
def mail_log(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Takes what accounts tell the mail log."""
    taken = Mock()
    monkeypatch.setattr(account, "mail_events", taken)
    return taken
