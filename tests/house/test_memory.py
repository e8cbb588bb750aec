"""What a process holds in memory is what its distribution is for."""

import subprocess
import sys

import pytest

FRAMEWORKS = {
    "fastapi",
    "starlette",
    "sqlalchemy",
    "alembic",
    "typer",
    "click",
    "rich",
    "yaml",
    "gatepost_api",
}


def _in_memory(modules: list[str]) -> set[str]:
    program = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


# beside: libraries that bring some of it themselves. structlog takes `rich` where that is installed, as in a
# development install; a mail host has none.
@pytest.mark.parametrize(
    ("modules", "absent", "beside"),
    [
        (["gatepost_agent.daemon", "gatepost_agent.cli"], FRAMEWORKS, ["structlog"]),
        (["gatepost_api.app"], {"aiosmtpd", "apsw", "gatepost_agent"}, []),
        (
            ["gatepost.policy.dialogue.session"],
            {"asyncio", "ssl", "socket", "httpx", "logging", "cryptography"},
            ["pydantic"],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value else "",
)
def test_what_is_in_memory_at_run_time(modules: list[str], absent: set[str], beside: list[str]) -> None:
    brought = _in_memory(beside) if beside else set()
    assert absent & (_in_memory(modules) - brought) == set()
