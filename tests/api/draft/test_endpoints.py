"""The draft as one document: YAML and JSON, ETags, and every fault with its place."""

import asyncio

import pytest

from tests.support.control_plane import DOCUMENT, YAML, World

pytestmark = pytest.mark.anyio


async def test_what_is_put_is_what_is_got_in_both_forms(world: World) -> None:
    put = await world.put_draft()
    assert put.status_code == 200, put.text
    assert put.json()["changes"]["added"] == [
        "accepted_domains/contoso.com",
        "connectors/Default Frontend",
        "connectors/Anonymous Relay",
        "send_connectors/Smart host",
    ]
    as_json = await world.viewer.get("/v1/draft", headers={"Accept": "application/json"})
    assert as_json.headers["etag"] == put.headers["etag"]
    as_yaml = await world.viewer.get("/v1/draft", headers={"Accept": "application/yaml"})
    again = await world.operator.put(
        "/v1/draft", content=as_yaml.content, headers=YAML | {"If-Match": as_yaml.headers["etag"]}
    )
    assert again.json()["changes"] == {"added": [], "changed": [], "removed": []}
    back = await world.operator.put(
        "/v1/draft", json=as_json.json(), headers={"If-Match": again.headers["etag"]}
    )
    assert back.json()["changes"] == {"added": [], "changed": [], "removed": []}


async def test_a_replaced_draft_keeps_the_ids_of_pieces_that_stay(world: World) -> None:
    await world.put_draft()
    before = {row["name"]: row["id"] for row in (await world.viewer.get("/v1/connectors")).json()["items"]}
    await world.put_draft(DOCUMENT.replace("192.168.5.11", "192.168.5.12"))
    after = {row["name"]: row["id"] for row in (await world.viewer.get("/v1/connectors")).json()["items"]}
    assert before == after


async def test_without_if_match_nothing_changes(world: World) -> None:
    answer = await world.operator.put("/v1/draft", content=DOCUMENT, headers=YAML)
    assert answer.status_code == 428
    assert (await world.viewer.get("/v1/draft")).json() == {}


async def test_of_twenty_concurrent_puts_one_wins(world: World) -> None:
    tag = (await world.operator.get("/v1/draft")).headers["etag"]
    puts = [
        world.operator.put("/v1/draft", content=DOCUMENT, headers=YAML | {"If-Match": tag}) for _ in range(20)
    ]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*puts))
    assert statuses == [200] + [412] * 19


async def test_every_fault_is_named_with_pointer_value_and_remedy(world: World) -> None:
    text = """
connectors:
  - {name: A, bindings: ["25"], remote_ip_ranges: [10.0.0.0/33], colour: red}
"""
    answer = await world.put_draft(text)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["instance"] == answer.headers["x-request-id"]
    found = {error["pointer"]: error for error in problem["errors"]}
    assert set(found) >= {
        "/connectors/0/bindings/0",
        "/connectors/0/remote_ip_ranges/0",
        "/connectors/0/colour",
    }
    assert found["/connectors/0/remote_ip_ranges/0"]["value"] == "10.0.0.0/33"
    assert all(error["remedy"] for error in problem["errors"])
    assert (await world.viewer.get("/v1/draft")).json() == {}


async def test_a_document_too_large_for_the_loop_goes_through_the_worker(small_world: World) -> None:
    ranges = ", ".join(f"10.{n >> 8}.{n & 255}.1" for n in range(6000))
    text = f"connectors: [{{name: Many, bindings: ['0.0.0.0:25'], remote_ip_ranges: [{ranges}]}}]"
    assert (await small_world.put_draft(text)).status_code == 200
    assert (await small_world.publish()).status_code == 201
    assert (await small_world.put_draft(text.replace("10.0.0.1,", "10.0.0.0/99,"))).status_code == 422
