"""Relay users over HTTP: who may, what is refused, and that a secret is shown once and kept nowhere."""

import asyncio
import base64
from typing import Any

import pytest
from sqlalchemy import update

from gatepost.policy.analysis.rehearsal import Rehearsal
from gatepost.policy.dialogue.compiled import Endpoint, compile_policy
from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.bundle import Bundle
from gatepost_api.tables import Assignment
from tests.support.control_plane import DOCUMENT, FakeAgent, World
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio

SUBMISSION = """
  - name: Submission
    bindings: ["0.0.0.0:587"]
    remote_ip_ranges: ["10.0.0.0/8"]
    auth_mechanism: [BasicAuth]
    permissions:
      - {principal: 'user:scanner', rights: [ms-Exch-SMTP-Submit, ms-Exch-SMTP-Accept-Any-Recipient]}
send_connectors:"""
WITH_AUTH = DOCUMENT.replace("\nsend_connectors:", SUBMISSION)
LOGS_ON = """
tests:
  - {name: the scanner sends, server: mx1, remote: 10.1.1.1, local: "0.0.0.0:587", user: scanner,
     mail_from: scanner@contoso.com, rcpt_to: kate@fabrikam.com, expect: "250 2.1.5"}
"""


async def create(world: World, name: str = "scanner", **other: Any) -> dict[str, Any]:
    answer = await world.admin.post("/v1/relay-users", json={"name": name} | other)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def delete(world: World, made: dict[str, Any]) -> Any:
    path = f"/v1/relay-users/{made['user']['id']}"
    tag = (await world.viewer.get(path)).headers["etag"]
    return await world.admin.delete(path, headers={"If-Match": tag})


async def serving(world: World) -> FakeAgent:
    """An agent that runs the submission connector."""
    agent = await world.enroll("mx1")
    assert (await world.publish(WITH_AUTH)).status_code == 201
    await agent.checkin()
    await agent.checkin()
    return agent


def logged_on(agent: FakeAgent, user: str, secret: str, *, sender: str = "scanner@contoso.com") -> list[str]:
    """The replies to a device that logs on and sends, by the bundle that the agent runs."""
    policy = compile_policy(
        Bundle.model_validate_json(agent.bundles[-1]), addresses={}, fqdn="mx1.contoso.com", now=0
    )
    local, remote = (Endpoint(parse_address(text), 587) for text in ("10.9.9.9", "10.1.1.1"))
    device = Rehearsal(policy, local=local, remote=remote, now=0)
    device.connect()
    response = base64.b64encode(f"\0{user}\0{secret}".encode()).decode()
    device.say(
        [
            "EHLO scanner",
            f"auth plain {response}",
            f"MAIL FROM:<{sender}>",
            "RCPT TO:<kate@fabrikam.com>",
            "DATA",
            f"From: <{sender}>",
            "",
            "A page.",
            ".",
        ]
    )
    return [one.decision.reply.text for one in device.exchanges[2:] if one.decision.reply is not None]


async def test_a_device_logs_on_with_the_generated_secret_and_relays(world: World) -> None:
    agent = await serving(world)
    made = await create(world, senders=["scanner@contoso.com"])
    assert made["changed_servers"] == ["mx1"]
    assert (await agent.checkin()).offer is not None
    assert [reply[:9] for reply in logged_on(agent, "Scanner", made["secret"])] == [
        "235 2.7.0", "250 2.1.0", "250 2.1.5", "354 Start", "250 2.6.0",
    ]  # fmt: skip
    assert logged_on(agent, "scanner", made["secret"] + "x")[0].startswith("535 5.7.3")
    assert logged_on(agent, "scanner", made["secret"], sender="ceo@contoso.com")[1].startswith("550 5.7.1")


async def test_a_rotated_secret_replaces_the_old_one(world: World) -> None:
    agent = await serving(world)
    made = await create(world, senders=["scanner@contoso.com"])
    await agent.checkin()
    path = f"/v1/relay-users/{made['user']['id']}:rotate-secret"
    turned = (await world.admin.post(path)).json()
    assert turned["secret"] != made["secret"]
    assert turned["user"]["secret_since"] > made["user"]["secret_since"]
    await agent.checkin()
    assert logged_on(agent, "scanner", turned["secret"])[0].startswith("235")
    assert logged_on(agent, "scanner", made["secret"])[0].startswith("535")


async def test_a_deleted_user_cannot_log_on(world: World) -> None:
    agent = await serving(world)
    made = await create(world)
    await agent.checkin()
    gone = await delete(world, made)
    assert (gone.status_code, gone.json()["changed_servers"]) == (200, ["mx1"])
    await agent.checkin()
    assert logged_on(agent, "scanner", made["secret"])[0].startswith("535")
    assert (await world.viewer.get("/v1/relay-users")).json()["items"] == []


async def test_only_servers_whose_bundle_changes_get_a_new_generation(world: World) -> None:
    other = await world.enroll("mx2", labels={"site": "fra"})
    await world.enroll("mx1")
    await world.publish(WITH_AUTH.replace("name: Submission", "name: Submission\n    servers: [mx1]"))
    before = (await world.server(other))["assignment"]
    assert (await create(world))["changed_servers"] == ["mx1"]
    assert (await world.server(other))["assignment"] == before
    assert (await world.viewer.get("/v1/revisions")).json()["items"][0]["number"] == 1


async def test_nothing_published_nothing_to_hand_out(world: World) -> None:
    await world.enroll("mx1")
    assert (await create(world, senders=["scanner@contoso.com"]))["changed_servers"] == []
    assert (await world.publish(WITH_AUTH + LOGS_ON)).status_code == 201


async def test_a_parked_agent_hears_of_a_new_user_at_once(world: World) -> None:
    agent = await serving(world)
    parked = asyncio.create_task(agent.checkin(wait_s=20), name="parked")
    await eventually(lambda: world.app.state.parking.is_parked(agent.server_id))
    await create(world)
    async with asyncio.timeout(10):
        assert (await parked).offer is not None


async def test_the_next_publish_and_a_new_server_take_the_users_along(world: World) -> None:
    agent = await serving(world)
    made = await create(world, senders=["scanner@contoso.com"])
    await agent.checkin()
    await world.publish(WITH_AUTH.replace("192.168.5.11, ", ""))
    await agent.checkin()
    assert logged_on(agent, "scanner", made["secret"])[0].startswith("235")
    late = await world.enroll("mx9")
    await late.checkin()
    assert logged_on(late, "scanner", made["secret"])[0].startswith("235")


async def test_a_published_test_that_logs_on_keeps_its_user(world: World) -> None:
    await world.enroll("mx1")
    made = await create(world, senders=["scanner@contoso.com"])
    assert (await world.publish(WITH_AUTH + LOGS_ON)).status_code == 201
    refused = await delete(world, made)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/tests-failed")
    assert "the scanner sends" in refused.json()["detail"]
    rotated = await world.admin.post(f"/v1/relay-users/{made['user']['id']}:rotate-secret")
    assert (rotated.status_code, rotated.json()["changed_servers"]) == (200, ["mx1"])
    await world.publish(WITH_AUTH)
    assert (await delete(world, made)).status_code == 200


async def test_a_published_test_that_expects_a_stranger_refuses_the_user(world: World) -> None:
    await world.enroll("mx1")
    assert (await world.publish(WITH_AUTH + LOGS_ON.replace("250 2.1.5", "535"))).status_code == 201
    refused = await world.admin.post("/v1/relay-users", json={"name": "scanner"})
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/tests-failed")
    assert (await world.viewer.get("/v1/relay-users")).json()["items"] == []


async def test_a_blocked_server_stays_blocked_with_the_new_bundle(world: World) -> None:
    agent = await world.enroll("mx1")
    await world.publish(WITH_AUTH)
    before = (await world.server(agent))["assignment"]
    async with world.app.state.database.writing() as session:
        await session.execute(update(Assignment).values(state="blocked", reason="held up"))
    assert (await create(world))["changed_servers"] == []
    after = (await world.server(agent))["assignment"]
    assert (after["state"], after["reason"]) == ("blocked", "held up")
    assert after["generation"] == before["generation"]
    assert after["digest"] != before["digest"]


async def test_a_server_that_was_adopted_is_left_alone(world: World) -> None:
    agent = await serving(world)
    foreign = "sha256:" + "e" * 64
    assert agent.running is not None
    agent.running = agent.running.model_copy(update={"generation": 40, "digest": foreign})
    agent.attempt = agent.attempt and agent.attempt.model_copy(update={"generation": 40, "digest": foreign})
    await agent.checkin()
    assert (await world.admin.post(f"/v1/servers/{agent.server_id}:adopt", json={})).status_code == 200
    assert (await create(world))["changed_servers"] == []
    assert (await world.server(agent))["assignment"]["digest"] == foreign


async def test_names_differ_in_more_than_case(world: World) -> None:
    await create(world, "Scanner")
    again = await world.admin.post("/v1/relay-users", json={"name": "sCANNER"})
    assert (again.status_code, again.json()["type"]) == (409, "/problems/name-taken")


@pytest.mark.parametrize(
    "name", ["", " a", "a\n", "x" * 65, r"corp\anonymous logon", "\0", "a\x7f"], ids=repr
)
async def test_a_name_that_permissions_could_not_use_is_refused(small_world: World, name: str) -> None:
    answer = await small_world.admin.post("/v1/relay-users", json={"name": name})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/name"


async def test_senders_are_addresses_each_once(small_world: World) -> None:
    made = await create(small_world, senders=["A@contoso.com", "a@contoso.com", "b@contoso.com"])
    assert made["user"]["senders"] == ["A@contoso.com", "b@contoso.com"]
    wrong = await small_world.admin.post("/v1/relay-users", json={"name": "x", "senders": ["nobody"]})
    assert wrong.json()["errors"][0]["pointer"] == "/senders/0"
    assert wrong.json()["errors"][0]["remedy"]


async def test_senders_and_comment_are_edited_and_the_secret_stays(world: World) -> None:
    agent = await serving(world)
    made = await create(world)
    path = f"/v1/relay-users/{made['user']['id']}"
    tag = (await world.viewer.get(path)).headers["etag"]
    patch = {"senders": ["scanner@contoso.com"], "comment": "3rd floor"}
    changed = await world.admin.patch(path, json=patch, headers={"If-Match": tag})
    assert changed.json()["user"]["comment"] == "3rd floor"
    assert (await world.admin.patch(path, json={}, headers={"If-Match": tag})).status_code == 412
    await agent.checkin()
    assert [reply[:3] for reply in logged_on(agent, "scanner", made["secret"])[:2]] == ["235", "250"]
    unsaid = await world.admin.patch(path, json={"senders": None}, headers={"If-Match": "*"})
    assert (unsaid.json()["user"]["senders"], unsaid.json()["user"]["comment"]) == ([], "3rd floor")


async def test_only_admins_change_users_and_viewers_see_them_without_secrets(world: World) -> None:
    made = await create(world)
    path = f"/v1/relay-users/{made['user']['id']}"
    for request in (
        world.operator.post("/v1/relay-users", json={"name": "x"}),
        world.operator.post(f"{path}:rotate-secret"),
        world.operator.delete(path, headers={"If-Match": "*"}),
    ):
        assert (await request).status_code == 403
    listed = await world.viewer.get("/v1/relay-users", params={"name": "SCANNER"})
    assert [row["name"] for row in listed.json()["items"]] == ["scanner"]
    assert not {"secret", "verifier"} & listed.json()["items"][0].keys()


async def test_a_repeated_call_does_not_show_the_secret_again(world: World) -> None:
    key = {"Idempotency-Key": "one"}
    first = await world.admin.post("/v1/relay-users", json={"name": "scanner"}, headers=key)
    assert first.status_code == 201
    assert first.headers["cache-control"] == "no-store"
    again = await world.admin.post("/v1/relay-users", json={"name": "scanner"}, headers=key)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/secret-already-shown")
    path = f"/v1/relay-users/{first.json()['user']['id']}:rotate-secret"
    turned = [await world.admin.post(path, headers={"Idempotency-Key": "two"}) for _ in range(2)]
    assert [answer.status_code for answer in turned] == [200, 409]


async def test_changes_are_audited_without_secrets_or_verifiers(world: World) -> None:
    await serving(world)
    made = await create(world, comment="3rd floor")
    path = f"/v1/relay-users/{made['user']['id']}"
    turned = (await world.admin.post(f"{path}:rotate-secret", headers={"X-Reason": "leaked"})).json()
    await delete(world, made)
    events = await world.viewer.get("/v1/audit-events", params={"object_kind": "relay-user"})
    rows = events.json()["items"]
    assert [row["action"] for row in rows] == ["delete", "rotate-secret", "create"]
    assert rows[1]["reason"] == "leaked"
    assert rows[2]["after"]["changed_servers"] == ["mx1"]
    assert "sha256" not in events.text
    assert made["secret"] not in events.text
    assert turned["secret"] not in events.text


async def test_plan_and_explain_know_the_users(world: World) -> None:
    await world.enroll("mx1")
    await create(world)
    await world.publish(WITH_AUTH)
    planned = (await world.viewer.post("/v1/plan", json={})).json()
    assert (planned["touched"], planned["only_narrows"]) == ([], True)
    question = {
        "server": "mx1", "remote": "10.1.1.1", "local": "0.0.0.0:587", "user": "scanner",
        "mail_from": "<>", "rcpt_to": "kate@fabrikam.com",
    }  # fmt: skip
    explained = (await world.viewer.post("/v1/explain", json=question)).json()
    assert explained["reply"].startswith("250 2.1.5")
    assert explained["principal"] == "user:scanner"


async def test_a_right_of_nobody_is_a_warning(world: World) -> None:
    await world.enroll("mx1")
    await world.put_draft(WITH_AUTH)
    planned = (await world.viewer.post("/v1/plan", json={})).json()
    (finding,) = [one for one in planned["findings"] if one["rule"] == "unknown-relay-user"]
    assert (finding["severity"], finding["pointer"]) == ("warning", "/connectors/2/permissions/0")
    await create(world)
    planned = (await world.viewer.post("/v1/plan", json={})).json()
    assert "unknown-relay-user" not in [one["rule"] for one in planned["findings"]]
