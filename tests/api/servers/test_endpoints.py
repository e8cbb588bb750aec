"""Servers: what operators set, when it takes effect, and the listings."""

import pytest

from tests.support.control_plane import DOCUMENT, FakeAgent, World

pytestmark = pytest.mark.anyio


async def patch(world: World, agent: FakeAgent, **changes: object) -> int:
    path = f"/v1/servers/{agent.server_id}"
    tag = (await world.admin.get(path)).headers["etag"]
    return (await world.admin.patch(path, json=changes, headers={"If-Match": tag})).status_code


async def test_labels_take_effect_with_the_next_publish(world: World) -> None:
    agent = await world.enroll("mx1")
    text = DOCUMENT.replace("name: Anonymous Relay", "name: Anonymous Relay\n    servers: [site=fra]")
    await world.publish(text)
    await agent.checkin()
    before = agent.offers[-1].digest
    assert await patch(world, agent, labels={"site": "fra"}) == 200
    assert (await world.server(agent))["unpublished"] is True
    assert (await agent.checkin()).offer is None
    assert (await world.publish()).status_code == 201
    await agent.checkin()
    assert agent.offers[-1].digest != before
    assert (await world.server(agent))["unpublished"] is False


async def test_a_changed_address_is_a_new_offer_of_the_same_bundle(world: World) -> None:
    agent = await world.enroll("mx1", addresses={"internal": "10.1.1.1"})
    await world.publish(DOCUMENT.replace('["0.0.0.0:25"]', '["{internal}:25"]'))
    await agent.checkin()
    assert await patch(world, agent, addresses={"internal": "10.1.1.2"}, fqdn="mx1.contoso.com") == 200
    await world.publish()
    await agent.checkin()
    one, two = agent.offers
    assert (one.digest, one.generation + 1) == (two.digest, two.generation)
    assert (two.addresses, two.fqdn) == ({"internal": "10.1.1.2"}, "mx1.contoso.com")


async def test_an_edit_needs_the_present_tag_and_good_values(world: World) -> None:
    agent = await world.enroll("mx1")
    path = f"/v1/servers/{agent.server_id}"
    assert (await world.admin.patch(path, json={"labels": {}})).status_code == 428
    stale = await world.admin.patch(path, json={"labels": {"a": "b"}}, headers={"If-Match": '"99"'})
    assert (stale.status_code, stale.headers["etag"]) == (412, '"1"')
    for bad in (
        {"labels": {"a b": "c"}},
        {"addresses": {"x": "10.0.0.0/8"}},
        {"fqdn": "no_host!"},
        {"name": "x"},
    ):
        assert await patch(world, agent, **bad) == 422


async def test_servers_are_found_by_name_and_state(world: World) -> None:
    one, two = await world.enroll("mx1"), await world.enroll("mx2")
    await world.publish(DOCUMENT)
    await one.checkin()
    await one.checkin()

    async def names(**params: object) -> list[str]:
        answer = await world.viewer.get("/v1/servers", params=params)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        return sorted(row["name"] for row in answer.json()["items"])

    assert await names(name="MX1") == ["mx1"]
    assert await names(assignment_state="settled") == ["mx1"]
    assert await names(revision=1) == ["mx1", "mx2"]
    await world.admin.post(f"/v1/servers/{two.server_id}:retire", json={"reason": "gone"})
    assert await names(state="retired") == ["mx2"]
    assert await names(state="active") == ["mx1"]


async def test_verbs_are_refused_where_they_make_no_sense(world: World) -> None:
    agent = await world.enroll("mx1")
    for verb in ("retry", "adopt", "overwrite"):
        answer = await world.admin.post(f"/v1/servers/{agent.server_id}:{verb}", json={})
        assert answer.status_code == 409, verb
