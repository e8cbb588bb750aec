"""Publishing, findings that hold it up, acknowledgements, and going back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from gatepost_api.tables import Acknowledgement
from tests.support.control_plane import DOCUMENT, World

pytestmark = pytest.mark.anyio
WIDE = DOCUMENT.replace("10.20.0.0/24", "10.0.0.0/8")


async def tag(world: World) -> dict[str, str]:
    return {"If-Match": (await world.viewer.get("/v1/draft")).headers["etag"]}


async def publish_as(client: Any, world: World, **body: Any) -> Any:
    return await client.post("/v1/revisions", json=body, headers=await tag(world))


async def test_a_revision_is_immutable_numbered_and_shows_its_document(world: World) -> None:
    first = await world.publish(DOCUMENT, message="first")
    assert first.status_code == 201, first.text
    second = await world.publish(DOCUMENT.replace("192.168.5.11", "192.168.5.12"))
    assert (first.json()["number"], second.json()["number"], second.json()["parent"]) == (1, 2, 1)
    document = (await world.viewer.get("/v1/revisions/1/document")).json()
    assert document["connectors"][1]["remote_ip_ranges"] == ["192.168.5.10", "192.168.5.11", "10.20.0.0/24"]
    listed = (await world.viewer.get("/v1/revisions")).json()["items"]
    assert [row["number"] for row in listed] == [2, 1]


async def test_publishing_what_is_in_force_changes_nothing(world: World) -> None:
    agent = await world.enroll("mx1")
    await world.publish(DOCUMENT)
    again = await world.publish()
    assert again.json()["number"] == 1
    assert (await world.server(agent))["assignment"]["generation"] == 1


async def test_a_publish_needs_the_drafts_present_tag(world: World) -> None:
    old = await tag(world)
    await world.put_draft(DOCUMENT)
    assert (await world.operator.post("/v1/revisions", json={}, headers=old)).status_code == 412
    assert (await world.operator.post("/v1/revisions", json={})).status_code == 428
    assert (await world.viewer.get("/v1/revisions")).json()["items"] == []


async def test_a_wide_relay_is_refused_until_an_admin_acknowledges_exactly_it(world: World) -> None:
    await world.enroll("mx1")
    refused = await world.publish(WIDE)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/refused-by-policy")
    finding = next(one for one in refused.json()["findings"] if one["rule"] == "relay-wide")
    given = [{"id": finding["id"], "reason": "the whole plant"}]
    assert (await publish_as(world.operator, world, acknowledgements=given)).status_code == 403
    published = await publish_as(world.admin, world, acknowledgements=given)
    assert published.status_code == 201, published.text
    events = (await world.viewer.get("/v1/audit-events", params={"action": "acknowledge"})).json()["items"]
    assert (events[0]["object_id"], events[0]["reason"]) == (finding["id"], "the whole plant")

    wider = await world.publish(WIDE.replace("10.0.0.0/8", "10.0.0.0-11.0.0.255"))
    assert wider.json()["type"] == "/problems/refused-by-policy"


async def test_an_open_relay_cannot_be_acknowledged(world: World) -> None:
    await world.enroll("mx1")
    refused = await world.publish(DOCUMENT.replace("10.20.0.0/24", "0.0.0.0/0"))
    assert refused.status_code == 422
    given = [{"id": one["id"], "reason": "no"} for one in refused.json()["findings"]]
    again = await publish_as(world.admin, world, acknowledgements=given)
    assert again.status_code == 422
    assert (await world.viewer.get("/v1/revisions")).json()["items"] == []


async def test_what_only_narrows_is_not_held_up(world: World) -> None:
    agent = await world.enroll("mx1")
    await world.put_draft(WIDE)
    found = (await world.viewer.post("/v1/plan", json={})).json()["holding"]
    given = [{"id": one["id"], "reason": "for a day", "until": "2099-01-01T00:00:00Z"} for one in found]
    assert (await publish_as(world.admin, world, acknowledgements=given)).status_code == 201
    narrower = await world.publish(WIDE.replace("10.0.0.0/8", "10.0.0.0/9"))
    assert narrower.status_code == 201, narrower.text
    assert narrower.json()["report"]["only_narrows"] is True
    assert (await world.server(agent))["assignment"]["generation"] == 2


async def test_a_failing_test_of_the_document_refuses_the_publish(world: World) -> None:
    await world.enroll("mx1")
    text = DOCUMENT + (
        "tests: [{name: stranger relays, server: mx1, remote: 192.168.5.99, mail_from: a@contoso.com, "
        "rcpt_to: b@fabrikam.com, expect: '250 2.1.5'}]"
    )
    refused = await world.publish(text)
    assert refused.json()["type"] == "/problems/tests-failed"
    assert "stranger relays" in refused.json()["detail"]


async def test_a_rollback_is_a_new_revision_and_the_draft_and_a_new_generation(world: World) -> None:
    agent = await world.enroll("mx1")
    await world.publish(DOCUMENT)
    await world.publish(DOCUMENT.replace("192.168.5.11, ", ""))
    await agent.checkin()
    body = {"reason": "the scanner stopped"}
    widening = await world.operator.post("/v1/revisions/1:rollback", json=body, headers=await tag(world))
    assert widening.status_code == 403
    back = await world.admin.post("/v1/revisions/1:rollback", json=body, headers=await tag(world))
    assert back.status_code == 201, back.text
    assert (back.json()["number"], back.json()["rollback_of"]) == (3, 1)
    ranges = (await world.viewer.get("/v1/draft")).json()["connectors"][1]["remote_ip_ranges"]
    assert "192.168.5.11" in ranges
    await agent.checkin()
    assert [offer.generation for offer in agent.offers] == [2, 3]


async def test_an_operator_may_go_back_to_what_is_narrower(world: World) -> None:
    await world.enroll("mx1")
    await world.publish(DOCUMENT.replace("192.168.5.11, ", ""))
    await world.publish(DOCUMENT)
    back = await world.operator.post("/v1/revisions/1:rollback", json={}, headers=await tag(world))
    assert back.status_code == 201, back.text


async def test_a_new_server_that_findings_hold_up_is_blocked_with_the_reason(world: World) -> None:
    text = DOCUMENT.replace('bindings: ["0.0.0.0:25"]', 'bindings: ["{internal}:25"]')
    assert (await world.publish(text)).status_code == 201
    agent = await world.enroll("mx1")
    shown = await world.server(agent)
    assert shown["assignment"]["state"] == "blocked"
    assert "internal" in shown["assignment"]["reason"]
    reply = await agent.checkin()
    assert reply.offer is None
    assert "internal" in reply.held
    server = await world.viewer.get(f"/v1/servers/{agent.server_id}")
    await world.admin.patch(
        f"/v1/servers/{agent.server_id}",
        json={"addresses": {"internal": "10.1.1.1"}},
        headers={"If-Match": server.headers["etag"]},
    )
    assert (await world.publish()).status_code == 201
    assert (await agent.checkin()).offer is not None


PUBLIC = DOCUMENT.replace("192.168.5.10,", "203.0.113.7,").replace(
    "Anonymous Relay\n", 'Anonymous Relay\n    servers: ["site=fra"]\n'
)
RACK = """
  - name: Rack
    servers: ["rack=1"]
    bindings: ["0.0.0.0:25"]
    remote_ip_ranges: [203.0.113.9]
    permission_groups: [AnonymousUsers]
    permissions:
      - {principal: 'NT AUTHORITY\\ANONYMOUS LOGON', rights: [Ms-Exch-SMTP-Accept-Any-Recipient]}
"""


async def acknowledged(world: World, text: str, until: datetime) -> None:
    """Publish, with an admin who takes on what may be taken on."""
    refused = await world.publish(text)
    ids = [{"id": f["id"], "reason": "ours", "until": until.isoformat()} for f in refused.json()["findings"]]
    body = {"acknowledgements": ids}
    answer = await world.admin.post("/v1/revisions", json=body, headers=await tag(world))
    assert answer.status_code == 201, answer.text


async def test_findings_about_other_servers_do_not_block_a_new_one(world: World) -> None:
    both = {"site": "fra", "rack": "1"}
    await world.enroll("mx1", labels=both)
    await acknowledged(
        world,
        PUBLIC.replace("send_connectors:", RACK + "send_connectors:"),
        datetime.now(UTC) + timedelta(days=1),
    )
    for name, labels in (("mx2", both), ("mx3", {"site": "muc"})):
        agent = await world.enroll(name, labels=labels)
        assert (await world.server(agent))["assignment"]["state"] == "pending"


async def test_a_new_server_does_not_make_a_narrower_draft_a_wider_one(world: World) -> None:
    await world.enroll("mx1", labels={"site": "fra"})
    await acknowledged(world, PUBLIC, datetime.now(UTC) + timedelta(days=1))
    await world.enroll("mx2", labels={"site": "fra"})
    async with world.app.state.database.writing() as session:
        await session.execute(delete(Acknowledgement))
    narrower = await world.publish(PUBLIC.replace("192.168.5.11, ", ""))
    assert narrower.status_code == 201, narrower.text


async def test_what_a_blocked_server_would_run_is_all_new_there(world: World) -> None:
    await world.enroll("mx1", labels={"site": "fra"})
    await acknowledged(world, PUBLIC, datetime.now(UTC) + timedelta(days=1))
    async with world.app.state.database.writing() as session:
        await session.execute(delete(Acknowledgement))
    blocked = await world.enroll("mx2", labels={"site": "fra"})
    assert (await world.server(blocked))["assignment"]["state"] == "blocked"
    held = await world.publish(PUBLIC.replace("192.168.5.11, ", ""))
    assert held.json()["type"] == "/problems/refused-by-policy"
