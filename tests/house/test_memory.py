"""What a process holds in memory is what its distribution is for."""

import subprocess
import sys
from importlib.util import find_spec

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


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (["gatepost_agent.daemon", "gatepost_agent.cli"], FRAMEWORKS),
        (["gatepost_api.app"], {"aiosmtpd", "apsw", "gatepost_agent"}),
        (
            ["gatepost.policy.dialogue.session"],
            {"asyncio", "ssl", "socket", "httpx", "logging", "cryptography"},
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_in_memory_at_run_time(modules: list[str], absent: set[str]) -> None:
    for module in modules:
        if find_spec(module) is None:
            pytest.skip(f"{module} is not built yet")
    program = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert absent & set(done.stdout.split()) == set()
