"""Every operation against made-up requests: no 5xx, and no answer that the schema does not know."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.test_cli import run, serving
from tests.support.control_plane import copy_of

UNLIMITED = {"GATEPOST_RATE_PER_S": "100000", "GATEPOST_RATE_BURST": "100000"}
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@pytest.mark.timeout(400)
def test_no_operation_fails_or_answers_what_is_not_documented(
    sqlite_schema: Path, tmp_path: Path, free_port: Callable[[str], int]
) -> None:
    port = free_port("127.0.0.1")
    variables = UNLIMITED | {"GATEPOST_DATABASE_URL": copy_of(sqlite_schema, tmp_path)}
    made = run(tmp_path, "token", "create", "--name", "t", "--role", "admin", **variables)
    options = {
        "--header": f"Authorization: Bearer {made.stdout.strip()}",
        "--checks": ",".join(CHECKS),
        "--phases": "coverage,fuzzing",
        "--max-examples": "5",
        "--seed": "1",
        "--generation-database": "none",
        "--exclude-operation-id": "revoke_api_token",
    }
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        f"http://127.0.0.1:{port}/openapi.json",
        "--no-color",
    ]
    with serving(tmp_path, port, variables=variables):
        done = subprocess.run(
            [*command, *(part for option in options.items() for part in option)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=380,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "generated" in done.stdout
