"""The audit trail: who, with which token, from where, what, before, after and why; filtered, and as JSON lines."""

import json

import pytest

from tests.support.control_plane import DOCUMENT, World

pytestmark = pytest.mark.anyio
RELAY = {"name": "Relay", "bindings": ["0.0.0.0:25"]}


async def test_an_event_tells_everything_about_a_change(world: World) -> None:
    made = await world.operator.post("/v1/connectors", json=RELAY)
    changed = await world.operator.patch(
        f"/v1/connectors/{made.json()['id']}",
        json={"comment": "scanners"},
        headers={"If-Match": made.headers["etag"], "X-Reason": "ticket 7", "X-Request-Id": "req-7"},
    )
    assert changed.status_code == 200
    event = (await world.viewer.get("/v1/audit-events", params={"request_id": "req-7"})).json()["items"][0]
    tokens = (await world.admin.get("/v1/api-tokens")).json()["items"]
    assert event["token_id"] == next(one["id"] for one in tokens if one["name"] == "test operator")
    assert (event["actor"], event["action"], event["reason"]) == ("test operator", "edit", "ticket 7")
    assert (event["object_kind"], event["object_name"]) == ("connector", "Relay")
    assert "comment" not in event["before"]
    assert event["after"]["comment"] == "scanners"
    assert event["remote"] == "127.0.0.1"


async def test_a_refused_change_leaves_no_event(world: World) -> None:
    await world.operator.post("/v1/connectors", json=RELAY)
    before = (await world.viewer.get("/v1/audit-events")).json()["items"]
    assert (await world.operator.post("/v1/connectors", json=RELAY)).status_code == 409
    assert (await world.viewer.get("/v1/audit-events")).json()["items"] == before


async def test_events_are_filtered_by_what_and_when(world: World) -> None:
    await world.publish(DOCUMENT)
    await world.operator.post("/v1/denied-set", json={"range": "10.1.1.1", "reason": "x"})
    events = (await world.viewer.get("/v1/audit-events")).json()["items"]
    block = events[0]

    async def found(**params: str) -> list[str]:
        answer = await world.viewer.get("/v1/audit-events", params=params)
        return [event["action"] for event in answer.json()["items"]]

    assert await found(action="publish") == ["publish"]
    assert await found(object_kind="block", object_name="10.1.1.1") == ["block"]
    assert "block" in await found(since=block["at"])
    assert "block" not in await found(until=block["at"])
    assert await found(actor="nobody") == []


async def test_the_export_is_one_json_object_a_line(world: World) -> None:
    for number in range(5):
        await world.operator.post("/v1/denied-set", json={"range": f"10.0.0.{number}"})
    answer = await world.viewer.get("/v1/audit-events:export", params={"action": "block"})
    assert answer.headers["content-type"].startswith("application/jsonl")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["object_name"] for row in rows] == [f"10.0.0.{number}" for number in reversed(range(5))]
