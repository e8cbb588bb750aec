"""Explaining over HTTP what the article tries with telnet."""

from typing import Any

import pytest

from tests.support.control_plane import DOCUMENT, World

pytestmark = pytest.mark.anyio
QUESTION = {"server": "mx1", "mail_from": "chris@contoso.com", "rcpt_to": "kate@fabrikam.com"}


async def ask(world: World, **question: Any) -> dict[str, Any]:
    answer = await world.viewer.post("/v1/explain", json=QUESTION | question)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_listed_host_relays_and_another_does_not(world: World) -> None:
    await world.enroll("mx1")
    await world.put_draft(DOCUMENT)
    listed = await ask(world, remote="192.168.5.10", of="draft")
    assert listed["reply"].startswith("250 2.1.5")
    assert (listed["connector"], listed["range"]) == ("Anonymous Relay", "192.168.5.10")
    other = await ask(world, remote="192.168.5.99", of="draft")
    assert other["reply"].startswith("550 5.7.1")
    assert other["connector"] == "Default Frontend"


async def test_a_blocked_client_is_explained_as_blocked(world: World) -> None:
    await world.enroll("mx1")
    await world.put_draft(DOCUMENT)
    await world.operator.post("/v1/denied-set", json={"range": "192.168.5.10"})
    blocked = await ask(world, remote="192.168.5.10", of="draft")
    assert blocked["verdict"] != "accepted"


async def test_an_unknown_server_and_an_unpublished_fleet_are_named(world: World) -> None:
    unknown = await world.viewer.post("/v1/explain", json=QUESTION | {"remote": "10.1.1.1"})
    assert unknown.status_code == 404
    assert "mx1" in unknown.json()["detail"]
    await world.enroll("mx1")
    unpublished = await world.viewer.post("/v1/explain", json=QUESTION | {"remote": "10.1.1.1"})
    assert unpublished.status_code == 404
    assert "draft" in unpublished.json()["detail"]
