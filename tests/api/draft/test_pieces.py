"""Edits of single pieces: each with its ETag, each in the draft, each in the audit trail."""

import asyncio
from typing import Any

import pytest

from tests.support.control_plane import World

pytestmark = pytest.mark.anyio
RELAY: dict[str, Any] = {"name": "Relay", "bindings": ["0.0.0.0:25"], "remote_ip_ranges": ["10.1.1.1"]}


async def created(world: World, body: dict[str, Any] | None = None) -> tuple[str, str]:
    answer = await world.operator.post("/v1/connectors", json=body or RELAY)
    assert answer.status_code == 201, answer.text
    return f"/v1/connectors/{answer.json()['id']}", answer.headers["etag"]


async def test_a_created_connector_shows_every_setting_and_is_in_the_draft(world: World) -> None:
    path, tag = await created(world)
    found = await world.viewer.get(path)
    assert found.headers["etag"] == tag
    assert found.json()["max_inbound_connection_per_source"] == 20
    assert (await world.viewer.get("/v1/draft")).json()["connectors"] == [RELAY]


async def test_a_merge_patch_sets_and_resets(world: World) -> None:
    path, tag = await created(world, RELAY | {"max_hop_count": 7})
    answer = await world.operator.patch(
        path, json={"max_hop_count": None, "comment": "scanners"}, headers={"If-Match": tag}
    )
    assert (answer.json()["max_hop_count"], answer.json()["comment"]) == (60, "scanners")
    assert answer.headers["etag"] != tag


async def test_a_rename_keeps_the_id_and_a_taken_name_is_refused(world: World) -> None:
    path, tag = await created(world)
    await created(world, RELAY | {"name": "Other"})
    taken = await world.operator.patch(path, json={"name": "OTHER"}, headers={"If-Match": tag})
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/name-taken")
    renamed = await world.operator.patch(path, json={"name": "Printers"}, headers={"If-Match": tag})
    assert renamed.json()["name"] == "Printers"
    listed = (await world.viewer.get("/v1/connectors", params={"name": "printers"})).json()["items"]
    assert [row["id"] for row in listed] == [path.rpartition("/")[2]]


async def test_of_twenty_concurrent_patches_one_wins(world: World) -> None:
    path, tag = await created(world)
    patches = [
        world.operator.patch(path, json={"comment": f"edit {n}"}, headers={"If-Match": tag})
        for n in range(20)
    ]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*patches))
    assert statuses == [200] + [412] * 19


async def test_bad_values_of_a_piece_are_named_like_those_of_a_document(world: World) -> None:
    posted = await world.operator.post("/v1/connectors", json=RELAY | {"remote_ip_ranges": ["10.1.1.300"]})
    assert posted.status_code == 422
    error = posted.json()["errors"][0]
    assert (error["pointer"], error["value"]) == ("/remote_ip_ranges/0", "10.1.1.300")
    assert error["remedy"]
    path, tag = await created(world)
    patched = await world.operator.patch(
        path, json={"remote_ip_ranges": ["10.1.1.300"]}, headers={"If-Match": tag}
    )
    assert patched.json()["errors"] == posted.json()["errors"]


async def test_a_removed_piece_is_gone_and_the_draft_has_a_new_version(world: World) -> None:
    path, tag = await created(world)
    before = (await world.viewer.get("/v1/draft")).headers["etag"]
    assert (await world.operator.delete(path, headers={"If-Match": tag})).status_code == 200
    draft = await world.viewer.get("/v1/draft")
    assert draft.json() == {}
    assert draft.headers["etag"] != before
    assert (await world.viewer.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "change"),
    [
        ("/v1/accepted-domains", {"domain": "contoso.com"}, {"type": "internal_relay"}),
        (
            "/v1/send-connectors",
            {"name": "Smart host", "address_spaces": ["*"], "smart_hosts": ["smtp.contoso.com:25"]},
            {"comment": "x"},
        ),
        ("/v1/connectors", RELAY, {"comment": "x"}),
    ],
)
async def test_every_kind_is_created_changed_replaced_and_audited(
    world: World, path: str, body: dict[str, Any], change: dict[str, Any]
) -> None:
    made = await world.operator.post(path, json=body)
    one = f"{path}/{made.json()['id']}"
    changed = await world.operator.patch(one, json=change, headers={"If-Match": made.headers["etag"]})
    assert change.items() <= changed.json().items()
    replaced = await world.operator.put(one, json=body, headers={"If-Match": changed.headers["etag"]})
    assert replaced.status_code == 200, replaced.text
    events = (await world.viewer.get("/v1/audit-events", params={"object_id": made.json()["id"]})).json()[
        "items"
    ]
    assert [event["action"] for event in events] == ["edit", "edit", "create"]
    assert events[0]["actor"] == "test operator"
