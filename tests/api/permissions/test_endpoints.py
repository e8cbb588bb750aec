"""Permissions as rows, and the article's two methods with their two listings."""

import pytest

from tests.support.control_plane import World

pytestmark = pytest.mark.anyio
ANONYMOUS = r"NT AUTHORITY\ANONYMOUS LOGON"
SECURED = r"MS Exchange\Externally Secured Servers"
LISTING = {"deny": "false", "inherited": "false"}
FIVE = {
    "ms-Exch-Accept-Headers-Routing",
    "ms-Exch-SMTP-Accept-Any-Recipient",
    "ms-Exch-SMTP-Accept-Any-Sender",
    "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender",
    "ms-Exch-SMTP-Submit",
}
NINE = FIVE | {
    "ms-Exch-Bypass-Anti-Spam",
    "ms-Exch-Bypass-Message-Size-Limit",
    "ms-Exch-SMTP-Accept-Authentication-Flag",
    "ms-Exch-SMTP-Accept-Exch50",
}


async def relay(world: World) -> str:
    body = {"name": "Anonymous Relay", "bindings": ["0.0.0.0:25"], "remote_ip_ranges": ["192.168.5.10"]}
    return f"/v1/connectors/{(await world.operator.post('/v1/connectors', json=body)).json()['id']}"


async def rights(world: World, path: str, user: str) -> list[str]:
    answer = await world.viewer.get(f"{path}/permissions", params=LISTING | {"user": user})
    assert answer.status_code == 200, answer.text
    return [row["right"] for row in answer.json()["items"]]


async def tag_of(world: World, path: str) -> dict[str, str]:
    return {"If-Match": (await world.viewer.get(path)).headers["etag"]}


async def test_the_two_methods_give_exactly_five_and_nine_rights_and_exclude_each_other(world: World) -> None:
    path = await relay(world)
    method = f"{path}/anonymous-relay"
    assert (await world.operator.post(method, json={"method": "anonymous"})).status_code == 200
    assert sorted(await rights(world, path, ANONYMOUS)) == sorted(FIVE)
    assert await rights(world, path, SECURED) == []

    secured = await world.operator.post(method, json={"method": "externally_secured"})
    assert secured.json()["auth_mechanism"] == ["ExternalAuthoritative"]
    assert sorted(await rights(world, path, SECURED)) == sorted(NINE)
    assert await rights(world, path, ANONYMOUS) == []

    assert (await world.operator.post(method, json={"method": "anonymous"})).status_code == 200
    assert sorted(await rights(world, path, "s-1-5-7")) == sorted(FIVE)


async def test_rights_are_added_denied_and_removed_one_by_one(world: World) -> None:
    path = await relay(world)
    entry = {"user": ANONYMOUS, "rights": ["Ms-Exch-SMTP-Accept-Any-Recipient"]}
    added = await world.operator.post(f"{path}/permissions", json=entry, headers=await tag_of(world, path))
    assert added.status_code == 201, added.text
    denied = await world.operator.post(
        f"{path}/permissions",
        json={"user": ANONYMOUS, "rights": ["ms-Exch-SMTP-Submit"], "deny": True},
        headers=await tag_of(world, path),
    )
    assert {(row["right"], row["deny"], row["source"]) for row in denied.json()} == {
        ("ms-Exch-SMTP-Accept-Any-Recipient", False, "explicit"),
        ("ms-Exch-SMTP-Submit", True, "explicit"),
    }
    removed = await world.operator.delete(
        f"{path}/permissions",
        params={"user": ANONYMOUS, "right": "ms-Exch-SMTP-Submit", "deny": "true"},
        headers=await tag_of(world, path),
    )
    assert [row["right"] for row in removed.json()] == ["ms-Exch-SMTP-Accept-Any-Recipient"]


async def test_what_a_group_supplies_is_denied_not_removed(world: World) -> None:
    path = await relay(world)
    await world.operator.patch(
        path, json={"permission_groups": ["AnonymousUsers"]}, headers=await tag_of(world, path)
    )
    answer = await world.operator.delete(
        f"{path}/permissions",
        params={"user": ANONYMOUS, "right": "ms-Exch-SMTP-Submit"},
        headers=await tag_of(world, path),
    )
    assert answer.status_code == 409
    assert "group:AnonymousUsers" in answer.json()["detail"]


async def test_a_right_with_nothing_behind_it_says_so(world: World) -> None:
    path = await relay(world)
    await world.operator.post(f"{path}/anonymous-relay", json={"method": "externally_secured"})
    rows = (await world.viewer.get(f"{path}/permissions", params={"user": SECURED})).json()["items"]
    effects = {row["right"]: row["effect"] for row in rows}
    assert effects["ms-Exch-SMTP-Accept-Exch50"] == "none here"
    assert effects["ms-Exch-SMTP-Accept-Any-Recipient"] == ""


async def test_an_unknown_right_or_filter_is_refused(world: World) -> None:
    path = await relay(world)
    entry = {"user": ANONYMOUS, "rights": ["ms-Exch-Fly"]}
    answer = await world.operator.post(f"{path}/permissions", json=entry, headers=await tag_of(world, path))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/rights/0"
    unknown = await world.viewer.get(f"{path}/permissions", params={"colour": "red"})
    assert (unknown.status_code, unknown.json()["type"]) == (400, "/problems/unknown-filter")
