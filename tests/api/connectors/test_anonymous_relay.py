"""What the two methods of anonymous relay leave of a connector's own permissions."""

from typing import Any

import pytest

from tests.support.control_plane import World

pytestmark = pytest.mark.anyio
ANONYMOUS = r"NT AUTHORITY\ANONYMOUS LOGON"
SECURED = r"MS Exchange\Externally Secured Servers"
ANY_SENDER, ANY_RECIPIENT, SUBMIT = (
    f"ms-Exch-SMTP-{name}" for name in ("Accept-Any-Sender", "Accept-Any-Recipient", "Submit")
)
OTHER = {"principal": "user:scanner", "rights": [ANY_RECIPIENT]}
BOTH = ["anonymous", "externally_secured"]


def row(principal: str, right: str, **more: bool) -> dict[str, Any]:
    return {"principal": principal, "rights": [right], **more}


async def created(world: World, *permissions: dict[str, Any]) -> str:
    body = {"name": "Relay", "bindings": ["0.0.0.0:25"], "remote_ip_ranges": ["10.1.1.1"]}
    made = await world.operator.post("/v1/connectors", json=body | {"permissions": permissions})
    assert made.status_code == 201, made.text
    return f"/v1/connectors/{made.json()['id']}"


async def set_up(world: World, path: str, method: str) -> Any:
    return await world.operator.post(f"{path}/anonymous-relay", json={"method": method})


@pytest.mark.parametrize("method", BOTH)
async def test_denials_and_other_principals_are_kept_and_what_was_allowed_is_not(
    small_world: World, method: str
) -> None:
    denials = [row(principal, ANY_SENDER, deny=True) for principal in ("S-1-5-7", SECURED)]
    allowed = [row(principal, ANY_SENDER) for principal in (ANONYMOUS, SECURED)]
    path = await created(small_world, *denials, *allowed, OTHER)
    done = await set_up(small_world, path, method)
    assert done.status_code == 200, done.text
    granted = [(ANONYMOUS, ANY_RECIPIENT, False)] if method == "anonymous" else []
    found = [(one["principal"], *one["rights"], one.get("deny", False)) for one in done.json()["permissions"]]
    assert found == [
        (ANONYMOUS, ANY_SENDER, True),
        (SECURED, ANY_SENDER, True),
        ("user:scanner", ANY_RECIPIENT, False),
        *granted,
    ]


@pytest.mark.parametrize("right", [ANY_RECIPIENT, SUBMIT])
@pytest.mark.parametrize(("method", "principal"), [("anonymous", ANONYMOUS), ("externally_secured", SECURED)])
async def test_a_denial_that_would_leave_the_relay_without_effect_is_a_conflict(
    small_world: World, method: str, principal: str, right: str
) -> None:
    path = await created(small_world, row(principal, right, deny=True))
    before = (await small_world.viewer.get(path)).json()
    refused = await set_up(small_world, path, method)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    assert f"'Relay' denies {right} to {principal}" in refused.json()["detail"]
    assert "Remove that permission first" in refused.json()["detail"]
    assert (await small_world.viewer.get(path)).json() == before


@pytest.mark.parametrize("method", BOTH)
async def test_an_inherited_denial_loses_and_one_of_the_other_principal_does_not_matter(
    small_world: World, method: str
) -> None:
    mine, other = (ANONYMOUS, SECURED) if method == "anonymous" else (SECURED, ANONYMOUS)
    path = await created(
        small_world,
        row(mine, ANY_RECIPIENT, deny=True, inherited=True),
        row(other, ANY_RECIPIENT, deny=True),
    )
    assert (await set_up(small_world, path, method)).status_code == 200
