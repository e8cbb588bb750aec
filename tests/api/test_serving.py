"""One process of the control plane over real sockets: TLS, and an end that leaves nobody hanging."""

import gc
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import trustme

from gatepost.signing import Signer, new_seed
from gatepost_api.serving import SELDOM, spare_the_old
from tests.api.test_cli import answers, run, serving
from tests.support.control_plane import copy_of
from tests.support.waiting import wait_until


def enrolled(folder: Path, port: int, variables: dict[str, str]) -> httpx.Client:
    """An agent's client of a running control plane."""
    admin = run(folder, "token", "create", "--name", "a", "--role", "admin", **variables).stdout.strip()
    url = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {admin}"}
    token = httpx.post(f"{url}/v1/enrollment-tokens", json={}, headers=headers).json()["token"]
    body = {"token": token, "public_key": Signer(new_seed()).public.text, "name": "mx1"}
    agent = httpx.post(f"{url}/agent/v1/enroll", json=body).json()["agent_token"]
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {agent}"}, timeout=60)


def test_a_stop_answers_parked_check_ins_at_once(
    sqlite_schema: Path, tmp_path: Path, free_port: Callable[[str], int]
) -> None:
    port = free_port("127.0.0.1")
    variables = {"GATEPOST_DATABASE_URL": copy_of(sqlite_schema, tmp_path)}
    with (
        serving(tmp_path, port, variables=variables) as process,
        enrolled(tmp_path, port, variables) as agent,
    ):

        def park() -> Any:
            report = {"seq": 1, "incarnation": "incarnation-1"}
            return agent.post("/agent/v1/checkin", json=report, headers={"Prefer": "wait=50"}).json()

        def is_parked() -> bool:
            return "gatepost_api_parked_checkins 1.0" in metrics(tmp_path, port, variables)

        with ThreadPoolExecutor(1) as pool:
            reply = pool.submit(park)
            wait_until(is_parked, 20, what="the check-in is parked")
            process.send_signal(signal.SIGTERM)
            answer = reply.result(20)
    assert answer["offer"] is None
    assert 0 <= answer["directives"]["reconnect_after_s"] <= 30


def metrics(folder: Path, port: int, variables: dict[str, str]) -> str:
    path = folder / "viewer"
    if not path.exists():
        path.write_text(run(folder, "token", "create", "--name", "v", **variables).stdout.strip())
    headers = {"Authorization": f"Bearer {path.read_text()}"}
    return httpx.get(f"http://127.0.0.1:{port}/metrics", headers=headers).text


def test_with_a_certificate_it_speaks_tls_and_nothing_else(
    sqlite_schema: Path, tmp_path: Path, free_port: Callable[[str], int]
) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(key))
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    port = free_port("127.0.0.1")
    url = copy_of(sqlite_schema, tmp_path)
    options = ("--host", "127.0.0.1", "--tls-cert", str(cert), "--tls-key", str(key), "--database-url", url)

    def speaks() -> bool:
        try:
            return httpx.get(f"https://127.0.0.1:{port}/healthz", verify=trusted).status_code == 200
        except httpx.TransportError:
            return False

    with serving(tmp_path, port, *options, ready=speaks):
        assert not answers(port)
    half = run(tmp_path, "serve", "--tls-cert", str(cert), "--database-url", url)
    assert half.returncode == 64
    assert "--tls-key" in half.stderr


def test_a_port_that_is_taken_is_an_error_and_not_a_hang(
    sqlite_schema: Path, tmp_path: Path, free_port: Callable[[str], int]
) -> None:
    port = free_port("127.0.0.1")
    url = copy_of(sqlite_schema, tmp_path)
    with serving(tmp_path, port, "--database-url", url):
        other = tmp_path / "other"
        other.mkdir()
        second = run(other, "serve", "--port", str(port), "--database-url", copy_of(sqlite_schema, other))
    assert isinstance(second, subprocess.CompletedProcess)
    assert second.returncode != 0
    assert str(port) in second.stderr


def test_what_keeps_it_from_serving_is_one_line_with_the_remedy(sqlite_schema: Path, tmp_path: Path) -> None:
    variables = {"GATEPOST_DATABASE_URL": copy_of(sqlite_schema, tmp_path)}
    (tmp_path / "empty.pem").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        in_use = run(tmp_path, "serve", "--port", str(port), **variables)
    unread = run(tmp_path, "serve", "--tls-cert", "empty.pem", "--tls-key", "empty.pem", **variables)
    for refused, told in ((in_use, f"--port {port} cannot be listened on"), (unread, "--tls-cert empty.pem")):
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert refused.stderr.startswith("gatepost-api: ")
        assert told in refused.stderr


def test_what_lives_long_is_spared_by_the_garbage_collector() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        spare_the_old()
        assert gc.get_freeze_count() > frozen
        assert gc.get_threshold() == (*before[:2], SELDOM)
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
