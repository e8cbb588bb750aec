"""Enrolment: one use, one hour, and nothing that the host claims."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from gatepost_api.tables import EnrollmentToken
from tests.support.control_plane import FakeAgent, World

pytestmark = pytest.mark.anyio


async def token(world: World, **granted: Any) -> dict[str, Any]:
    answer = await world.admin.post("/v1/enrollment-tokens", json=granted)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def uses_left(world: World, made: dict[str, Any]) -> int:
    found = (await world.admin.get(f"/v1/enrollment-tokens/{made['id']}")).json()
    assert "token" not in found
    left: int = found["uses_left"]
    return left


async def test_a_token_is_used_once(world: World) -> None:
    made = await token(world)
    assert (await FakeAgent(world, "mx1").enroll(made["token"])).status_code == 201
    again = await FakeAgent(world, "mx2").enroll(made["token"])
    assert again.status_code == 401
    assert await uses_left(world, made) == 0


async def test_a_lost_reply_costs_no_second_use_but_a_used_identity_is_not_given_out_again(
    world: World,
) -> None:
    made = await token(world)
    agent = FakeAgent(world, "mx1")
    first = (await agent.enroll(made["token"])).json()
    second = (await agent.enroll(made["token"])).json()
    assert first["server_id"] == second["server_id"]
    assert first["agent_token"] != second["agent_token"]
    await agent.checkin()
    assert (await agent.enroll(made["token"])).status_code == 401


async def test_a_taken_name_is_409_and_burns_no_use(world: World) -> None:
    await world.enroll("mx1")
    made = await token(world)
    taken = await FakeAgent(world, "MX1").enroll(made["token"])
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/name-taken")
    assert await uses_left(world, made) == 1
    refused = await world.admin.post("/v1/enrollment-tokens", json={"name": "mx1"})
    assert refused.json()["type"] == "/problems/name-taken"


async def test_labels_and_addresses_come_from_the_token_alone(world: World) -> None:
    made = await token(world, name="mx1", labels={"site": "fra"}, addresses={"internal": "10.1.1.1"})
    agent = FakeAgent(world, "mx1")
    for claim in (
        {"labels": {"site": "ber"}},
        {"labels": {"role": "edge"}},
        {"addresses": {"internal": "10.1.1.2"}},
    ):
        refused = await agent.enroll(made["token"], **claim)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"].startswith("/" + next(iter(claim)))
    assert (await FakeAgent(world, "mx2").enroll(made["token"])).status_code == 422
    assert (await agent.enroll(made["token"], labels={"site": "fra"})).status_code == 201
    shown = await world.server(agent)
    assert (shown["labels"], shown["addresses"]) == ({"site": "fra"}, {"internal": "10.1.1.1"})


async def test_a_name_that_is_not_granted_comes_with_what_to_do(small_world: World) -> None:
    bound, free = await token(small_world, name="mx1"), await token(small_world)
    foreign = (await FakeAgent(small_world, "mx2").enroll(bound["token"])).json()
    assert foreign["detail"] == (
        "The token is for the server 'mx1'. Enrol as mx1, or with an enrollment token for 'mx2'."
    )
    odd = (await FakeAgent(small_world, "mx 1").enroll(free["token"])).json()
    assert odd["detail"].startswith("The name is not a server name. Use up to 63 letters")
    assert [odd["errors"][0][key] for key in ("pointer", "value")] == ["/name", "mx 1"]


async def test_an_expired_revoked_or_foreign_token_is_refused_alike(world: World) -> None:
    expired, revoked = await token(world), await token(world)
    async with world.app.state.database.writing() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await session.execute(
            update(EnrollmentToken).where(EnrollmentToken.id == expired["id"]).values(expires_at=past)
        )
    path = f"/v1/enrollment-tokens/{revoked['id']}"
    tag = (await world.admin.get(path)).headers["etag"]
    assert (await world.admin.delete(path, headers={"If-Match": tag})).status_code == 200
    details = set()
    for text in (expired["token"], revoked["token"], "gp_enr_x", "nonsense"):
        answer = await FakeAgent(world, "mx1").enroll(text)
        assert answer.status_code == 401
        details.add(answer.json()["detail"])
    assert len(details) == 1


async def test_a_token_lives_an_hour_unless_asked_otherwise(world: World) -> None:
    made = await token(world)
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


async def test_a_key_that_is_none_is_named(world: World) -> None:
    made = await token(world)
    body = {"token": made["token"], "public_key": "rsa:abc", "name": "mx1"}
    answer = await world.anonymous().post("/agent/v1/enroll", json=body)
    assert answer.json()["errors"][0]["pointer"] == "/public_key"


@pytest.mark.parametrize("bad", [{"internal": "10.1.1.0/24"}, {"internal": "224.0.0.1"}, {"a b": "10.1.1.1"}])
async def test_an_address_is_one_unicast_address_with_a_name(small_world: World, bad: dict[str, str]) -> None:
    answer = await small_world.admin.post("/v1/enrollment-tokens", json={"addresses": bad})
    assert answer.status_code == 422
