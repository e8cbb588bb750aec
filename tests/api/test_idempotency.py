"""A repeated POST is done once and answered the same; secrets are not kept."""

import asyncio

import pytest

from gatepost_api.errors import InProgress
from gatepost_api.idempotency import CallsInProgress, IdempotentCall
from tests.support.control_plane import World

pytestmark = pytest.mark.anyio
RELAY = {"name": "Relay", "bindings": ["0.0.0.0:25"]}
KEY = {"Idempotency-Key": "once"}


async def test_a_repeat_gets_the_same_answer_and_does_nothing(world: World) -> None:
    first = await world.operator.post("/v1/connectors", json=RELAY, headers=KEY)
    again = await world.operator.post("/v1/connectors", json=RELAY, headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len((await world.viewer.get("/v1/connectors")).json()["items"]) == 1


async def test_concurrent_repeats_have_one_effect(world: World) -> None:
    calls = [world.operator.post("/v1/connectors", json=RELAY, headers=KEY) for _ in range(10)]
    statuses = {answer.status_code for answer in await asyncio.gather(*calls)}
    assert statuses <= {201, 409}
    assert 201 in statuses
    assert len((await world.viewer.get("/v1/connectors")).json()["items"]) == 1


async def test_a_key_of_another_body_is_refused_and_of_another_token_is_another_key(world: World) -> None:
    await world.operator.post("/v1/connectors", json=RELAY, headers=KEY)
    other = await world.operator.post("/v1/connectors", json=RELAY | {"name": "B"}, headers=KEY)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    theirs = await world.admin.post("/v1/connectors", json=RELAY | {"name": "B"}, headers=KEY)
    assert theirs.status_code == 201


async def test_a_repeat_of_what_showed_a_secret_does_not_show_it_again(world: World) -> None:
    body = {"name": "ci", "role": "viewer"}
    first = await world.admin.post("/v1/api-tokens", json=body, headers=KEY)
    assert first.headers["cache-control"] == "no-store"
    again = await world.admin.post("/v1/api-tokens", json=body, headers=KEY)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/secret-already-shown")
    assert first.json()["token"] not in again.text


async def test_a_failure_is_not_kept(world: World) -> None:
    bad = await world.operator.post("/v1/connectors", json=RELAY | {"bindings": []}, headers=KEY)
    assert bad.status_code == 422
    assert (await world.operator.post("/v1/connectors", json=RELAY, headers=KEY)).status_code == 201


def test_a_call_that_is_being_worked_on_is_told_apart() -> None:
    calls = CallsInProgress()
    call = IdempotentCall(token_id="api_1", key="k", fingerprint="f")
    calls.begin(call)
    with pytest.raises(InProgress) as refused:
        calls.begin(call)
    assert refused.value.headers["Retry-After"] == "1"
    calls.end(call)
    calls.begin(call)
