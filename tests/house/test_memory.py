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


def _in_memory(program: str) -> set[str]:
    program = f"{program}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


# beside: what libraries bring by themselves. httpx takes `click` and `rich` where they are installed, as in a
# development install (a mail host has neither); pydantic's first model reads package metadata, for which Python needs
# `email`.
@pytest.mark.parametrize(
    ("modules", "absent", "beside"),
    [
        (["gatepost_agent.daemon", "gatepost_agent.cli"], FRAMEWORKS, "import httpx"),
        (["gatepost_api.app"], {"aiosmtpd", "apsw", "gatepost_agent"}, "pass"),
        (
            ["gatepost.policy.dialogue.session"],
            {"asyncio", "ssl", "socket", "httpx", "logging", "cryptography"},
            "import pydantic; pydantic.create_model('M')",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value else "",
)
def test_what_is_in_memory_at_run_time(modules: list[str], absent: set[str], beside: str) -> None:
    held = _in_memory(f"import {', '.join(modules)}")
    assert absent & (held - _in_memory(beside)) == set()
