"""Who may call what: every operation with every role, and without a token."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from gatepost_api.auth import Role, issue, token_id
from gatepost_api.openapi import schema_text
from gatepost_api.tables import ApiToken
from tests.support.control_plane import World

pytestmark = pytest.mark.anyio

PUBLIC = {"healthz", "readyz"}
AGENT = {"enroll", "checkin", "get_bundle", "rotate_agent_token", "goodbye", "get_keyring"}
ADMIN = {
    "list_api_tokens", "create_api_token", "get_api_token", "revoke_api_token",
    "list_enrollment_tokens", "create_enrollment_token", "get_enrollment_token", "revoke_enrollment_token",
    "edit_server", "adopt_server", "overwrite_server", "retire_server", "ban_server",
    "overwrite_blocks",
    "create_relay_user", "change_relay_user", "rotate_relay_user_secret", "delete_relay_user",
}  # fmt: skip
OPERATOR = {
    "put_draft", "publish", "rollback", "block", "unblock", "retry_server", "set_anonymous_relay",
    "make_default_connector",
    "add_permissions", "remove_permission",
    *(f"{verb}_{noun}" for verb in ("create", "replace", "change", "remove")
      for noun in ("connector", "accepted_domain", "send_connector")),
}  # fmt: skip
VIEWER = {
    "metrics", "get_problem_type", "get_draft", "plan", "explain", "get_counts", "list_devices",
    "list_audit_events", "export_audit_events", "list_permissions", "list_revisions", "get_revision",
    "get_revision_document", "list_rollouts", "get_rollout", "list_servers", "get_server",
    "list_server_attempts", "list_blocks", "get_block", "list_relay_users", "get_relay_user",
    "list_connector_ranges",
    "list_connectors", "get_connector", "list_accepted_domains", "get_accepted_domain",
    "list_send_connectors", "get_send_connector",
}  # fmt: skip


def operations() -> dict[str, tuple[str, str]]:
    return {
        operation["operationId"]: (method, path)
        for path, item in json.loads(schema_text())["paths"].items()
        for method, operation in item.items()
    }


def needed(operation: str) -> Role | None:
    for names, role in ((ADMIN, Role.admin), (OPERATOR, Role.operator), (VIEWER, Role.viewer)):
        if operation in names:
            return role
    return None


def concrete(path: str) -> str:
    return re.sub(r"\{(number)\}", "1", re.sub(r"\{(?!number)\w+\}", "nothing", path))


def test_every_operation_has_its_role_written_down() -> None:
    assert set(operations()) == PUBLIC | AGENT | ADMIN | OPERATOR | VIEWER


async def test_every_operation_is_for_its_role_and_those_above(small_world: World) -> None:
    for operation, (method, path) in operations().items():
        role = needed(operation)
        if role is None:
            continue
        for held, client in small_world.clients.items():
            answer = await client.request(method, concrete(path), json={}, headers={"If-Match": '"1"'})
            assert (answer.status_code == 403) == (held < role), (operation, held.name, answer.text)
            assert answer.status_code < 500, (operation, held.name, answer.text)


async def test_without_a_token_there_is_nothing_but_health(small_world: World) -> None:
    client = small_world.anonymous()
    for operation, (method, path) in operations().items():
        answer = await client.request(method, concrete(path), json={})
        if operation in PUBLIC:
            assert answer.status_code == 200
        elif operation == "enroll":
            assert answer.status_code == 422  # its token is in the body
        elif operation in {"checkin", "goodbye", "get_bundle"}:
            assert answer.status_code in {401, 422}
        else:
            assert answer.status_code == 401, (operation, answer.text)
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_agents_token_is_no_api_token_and_the_other_way_round(small_world: World) -> None:
    agent = await small_world.enroll("mx1")
    assert (await agent.client.get("/v1/draft")).status_code == 401
    assert (await small_world.admin.get("/agent/v1/keyring")).status_code == 401


async def test_revoked_and_expired_tokens_end_at_once(world: World) -> None:
    made = (await world.admin.post("/v1/api-tokens", json={"name": "ci", "role": "viewer"})).json()
    client = world.anonymous(headers={"Authorization": f"Bearer {made['token']}"})
    assert (await client.get("/v1/draft")).status_code == 200
    path = f"/v1/api-tokens/{made['id']}"
    tag = (await world.admin.get(path)).headers["etag"]
    assert (await world.admin.delete(path, headers={"If-Match": tag})).json()["revoked_at"]
    assert (await client.get("/v1/draft")).status_code == 401

    secret, now = issue("api"), datetime.now(UTC)
    async with world.app.state.database.writing() as session:
        session.add(
            ApiToken(
                id=secret.id,
                name="old",
                role="viewer",
                digest=secret.digest,
                created_by="test",
                created_at=now,
                expires_at=now - timedelta(seconds=1),
                revoked_at=None,
            )
        )
    client.headers["Authorization"] = f"Bearer {secret.text}"
    assert (await client.get("/v1/draft")).status_code == 401


def test_a_token_with_a_wrong_checksum_or_kind_is_no_token() -> None:
    secret = issue("api")
    assert token_id(secret.text, "api") == secret.id
    assert token_id(secret.text[:-1] + ("0" if secret.text[-1] != "0" else "1"), "api") is None
    assert token_id(secret.text, "agt") is None
    assert token_id("gp_api_" + "x" * 500, "api") is None


async def test_a_taken_token_name_is_refused_until_it_is_revoked(world: World) -> None:
    body = {"name": "ci", "role": "viewer"}
    assert (await world.admin.post("/v1/api-tokens", json=body)).status_code == 201
    taken = await world.admin.post("/v1/api-tokens", json=body)
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/name-taken")
