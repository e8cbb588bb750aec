"""Secrets stay secret: every one that was issued is looked for in database, WAL, answers and logs."""

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from tests.support.control_plane import DOCUMENT, FakeAgent, World, control_plane

pytestmark = pytest.mark.anyio


async def use_every_secret(world: World) -> list[str]:
    """Issue each kind of secret, use it well and badly; all of them."""
    api = (await world.admin.post("/v1/api-tokens", json={"name": "ci", "role": "admin"})).json()["token"]
    enrollment = (await world.admin.post("/v1/enrollment-tokens", json={"name": "mx1"})).json()["token"]
    agent = FakeAgent(world, "mx1")
    first = (await agent.enroll(enrollment)).json()["agent_token"]
    await agent.checkin()
    second = (await agent.client.post("/agent/v1/token:rotate", json={})).json()["agent_token"]
    await world.publish(DOCUMENT)
    client = world.anonymous(headers={"Authorization": f"Bearer {api}"})
    await client.get("/v1/draft", params={"token": api})
    await client.post("/v1/denied-set", json={"range": api})
    await client.put("/v1/draft", content=api, headers={"If-Match": "*"})
    await FakeAgent(world, "mx2").enroll(enrollment)
    await world.anonymous().post("/agent/v1/enroll", json={"token": enrollment})
    return [api, enrollment, first, second, *(await use_relay_user(world, agent))]


async def use_relay_user(world: World, agent: FakeAgent) -> list[str]:
    """A relay user's secrets, on a server that takes passwords."""
    taking = DOCUMENT.replace(
        "name: Anonymous Relay", "name: Anonymous Relay\n    auth_mechanism: [BasicAuth]"
    )
    await world.publish(taking)
    made = (await world.admin.post("/v1/relay-users", json={"name": "scanner"})).json()
    path = f"/v1/relay-users/{made['user']['id']}:rotate-secret"
    turned, again = [await world.admin.post(path, headers={"Idempotency-Key": "turn"}) for _ in range(2)]
    assert again.status_code == 409
    await agent.checkin()
    return [made["secret"], turned.json()["secret"]]


def files_of(folder: Path) -> bytes:
    """The database with its WAL, while it is open."""
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.name.startswith("gatepost.sqlite"))


async def test_no_secret_is_found_anywhere(sqlite_ready: str, tmp_path: Path) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("debug"))
    with capture_logs() as logs:
        async with control_plane(sqlite_ready, tmp_path) as world:
            secrets = await use_every_secret(world)
            seed = (tmp_path / "fleet.key").read_text().strip()
            answers = "".join(
                [
                    (await world.admin.get(path)).text
                    for path in (
                        "/v1/audit-events?limit=1000",
                        "/v1/api-tokens",
                        "/v1/enrollment-tokens",
                        "/v1/relay-users",
                        "/v1/draft",
                    )
                ]
            )
            stored = files_of(tmp_path)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    assert len(logs) > 10
    for secret in [*secrets, seed]:
        core = secret.split("_", 3)[3][:43] if secret.startswith("gp_") else secret
        assert core.encode() not in stored
        assert core not in answers
        assert core not in str(logs)


async def test_a_problem_does_not_echo_a_token(small_world: World) -> None:
    token = small_world.admin.headers["Authorization"].removeprefix("Bearer ")
    answers = [
        await small_world.admin.post("/v1/denied-set", json={"range": token}),
        await small_world.admin.get("/v1/servers", params={"revision": token}),
        await small_world.admin.post("/v1/connectors", json={"name": "x", "bindings": [token]}),
    ]
    for answer in answers:
        assert answer.status_code == 422
        assert token not in answer.text
