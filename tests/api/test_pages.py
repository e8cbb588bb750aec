"""Listings: every item once, whatever the page size; cursors belong to their filters."""

import pytest

from tests.support.control_plane import World

pytestmark = pytest.mark.anyio


async def many(world: World, number: int = 7) -> set[str]:
    names = {f"c{n}" for n in range(number)}
    listed = ", ".join(f"{{name: {name}, bindings: ['0.0.0.0:25']}}" for name in sorted(names))
    assert (await world.put_draft(f"connectors: [{listed}]")).status_code == 200
    return names


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_pages_hold_every_item_once(small_world: World, limit: int) -> None:
    names = await many(small_world)
    seen: list[str] = []
    path = f"/v1/connectors?limit={limit}"
    while path:
        answer = await small_world.viewer.get(path)
        seen += [item["name"] for item in answer.json()["items"]]
        link = answer.headers.get("link", "")
        assert bool(link) == (answer.json()["next_cursor"] is not None)
        path = link.partition("<")[2].partition(">")[0]
    assert sorted(seen) == sorted(names)


async def test_audit_events_page_backwards_on_both_databases(world: World) -> None:
    for number in range(5):
        await world.operator.post("/v1/denied-set", json={"range": f"10.0.0.{number}"})
    first = (await world.viewer.get("/v1/audit-events", params={"limit": 3, "action": "block"})).json()
    params = {"limit": 3, "action": "block", "cursor": first["next_cursor"]}
    second = (await world.viewer.get("/v1/audit-events", params=params)).json()
    ids = [event["id"] for event in first["items"] + second["items"]]
    assert len(ids) == 5
    assert ids == sorted(ids, reverse=True)


async def test_a_cursor_with_other_filters_or_of_nobody_is_refused(small_world: World) -> None:
    await many(small_world)
    cursor = (await small_world.viewer.get("/v1/connectors?limit=1")).json()["next_cursor"]
    for params in (
        {"cursor": cursor, "name": "c1"},
        {"cursor": "!!!"},
        {"cursor": "WyJhIl0"},
        {"cursor": "e30"},
    ):
        answer = await small_world.viewer.get("/v1/connectors", params=params)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-cursor"), params
    other = await small_world.viewer.get("/v1/accepted-domains", params={"cursor": cursor})
    assert other.json()["type"] == "/problems/bad-cursor"


async def test_an_unknown_filter_is_refused_and_the_known_are_named(small_world: World) -> None:
    answer = await small_world.viewer.get("/v1/servers?colour=red")
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/unknown-filter")
    assert "assignment_state" in answer.json()["detail"]


async def test_a_limit_out_of_bounds_is_refused(small_world: World) -> None:
    for limit in ("0", "1001", "many"):
        answer = await small_world.viewer.get("/v1/servers", params={"limit": limit})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "#query/limit"
