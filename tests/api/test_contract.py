"""Every operation against made-up requests: no 5xx, and no answer that the schema does not know."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.test_cli import run, serving
from tests.support.control_plane import copy_of

EXAMPLES = "8"


@pytest.mark.timeout(400)
def test_no_operation_fails_or_answers_what_is_not_documented(
    sqlite_schema: Path, tmp_path: Path, free_port: Callable[[str], int]
) -> None:
    port = free_port("127.0.0.1")
    copy_of(sqlite_schema, tmp_path)
    url = f"sqlite:///{tmp_path / 'gatepost.sqlite'}"
    token = run(
        tmp_path, "token", "create", "--name", "t", "--role", "admin", "--database-url", url
    ).stdout.strip()
    assert token
    os.environ["GATEPOST_RATE_PER_S"] = os.environ["GATEPOST_RATE_BURST"] = "100000"
    try:
        with serving(tmp_path, port, "--database-url", url):
            done = subprocess.run(
                [
                    sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json",
                    "--header", f"Authorization: Bearer {token}",
                    "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,"
                    "response_schema_conformance",
                    "--max-examples", EXAMPLES, "--generation-database", "none", "--seed", "1", "--no-color",
                    "--phases", "examples,coverage,fuzzing", "--exclude-operation-id", "revoke_api_token",
                ],
                cwd=tmp_path, capture_output=True, text=True, timeout=380, check=False,
            )  # fmt: skip
    finally:
        del os.environ["GATEPOST_RATE_PER_S"], os.environ["GATEPOST_RATE_BURST"]
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
