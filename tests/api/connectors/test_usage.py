"""A usage type seeds a new connector, and never one that is there."""

from typing import Any

import pytest

from tests.support.control_plane import World

pytestmark = pytest.mark.anyio
CLOSED: dict[str, Any] = {"name": "Relay", "bindings": ["0.0.0.0:25"], "usage": "Custom"}


async def created(world: World) -> tuple[str, dict[str, str]]:
    answer = await world.operator.post("/v1/connectors", json=CLOSED)
    assert answer.status_code == 201, answer.text
    return f"/v1/connectors/{answer.json()['id']}", {"If-Match": answer.headers["etag"]}


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("PATCH", {"usage": "Internet"}),
        ("PATCH", {"usage": "Custom"}),
        ("PUT", CLOSED | {"usage": "Internet"}),
    ],
    ids=str,
)
async def test_an_edit_with_a_usage_type_is_refused_and_opens_nothing(
    small_world: World, verb: str, body: dict[str, Any]
) -> None:
    path, match = await created(small_world)
    refused = await small_world.operator.request(verb, path, json=body, headers=match)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid")
    [error] = refused.json()["errors"]
    assert (error["pointer"], error["value"]) == ("/usage", body["usage"])
    assert error["detail"] == "usage only seeds a new connector"
    assert error["remedy"].startswith("Set permission_groups, auth_mechanism, bindings and remote_ip_ranges")
    kept = await small_world.viewer.get(path)
    assert kept.headers["etag"] == match["If-Match"]
    assert (kept.json()["remote_ip_ranges"], kept.json()["permission_groups"]) == ([], [])


async def test_an_edit_without_one_is_taken_and_null_takes_away_what_is_not_there(small_world: World) -> None:
    path, match = await created(small_world)
    without = {"name": "Relay", "bindings": ["0.0.0.0:25"], "comment": "scanners"}
    put = await small_world.operator.put(path, json=without, headers=match)
    assert (put.status_code, put.json()["comment"]) == (200, "scanners")
    null = {"usage": None, "comment": "printers"}
    patched = await small_world.operator.patch(path, json=null, headers={"If-Match": put.headers["etag"]})
    assert (patched.status_code, patched.json()["comment"]) == (200, "printers")


async def test_a_new_connector_is_seeded_alone_and_in_a_document(small_world: World) -> None:
    seeded = {"name": "Internet", "bindings": ["0.0.0.0:26"], "usage": "Internet"}
    made = await small_world.operator.post("/v1/connectors", json=seeded)
    assert made.json()["remote_ip_ranges"] == ["0.0.0.0-255.255.255.255"]
    text = "connectors:\n  - {name: Partner, bindings: ['0.0.0.0:25'], usage: Partner}\n"
    assert (await small_world.put_draft(text)).status_code == 200
    [only] = (await small_world.viewer.get("/v1/connectors")).json()["items"]
    assert (only["name"], only["permission_groups"]) == ("Partner", ["Partners"])


async def test_settings_that_cannot_stand_together_are_named_in_the_answer(small_world: World) -> None:
    path, match = await created(small_world)
    for changes, pointer, value in (
        ({"require_tls": True}, "/require_tls", "true"),
        ({"connection_timeout": "00:01:00"}, "/connection_timeout", "00:01:00"),
    ):
        refused = await small_world.operator.patch(path, json=changes, headers=match)
        found = [(error["pointer"], error["value"]) for error in refused.json()["errors"]]
        assert found == [(pointer, value)]
    posted = await small_world.operator.post("/v1/connectors", json=CLOSED | {"usage": "Foo"})
    assert [error["pointer"] for error in posted.json()["errors"]] == ["/usage"]
