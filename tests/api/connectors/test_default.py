"""The default connector that one call makes: mail to accepted domains from everybody, never relay."""

from typing import Any

import pytest

from gatepost.policy.analysis.findings import Severity
from gatepost.policy.analysis.lint import lint
from gatepost.policy.analysis.sides import Side
from gatepost.policy.model.bundle import Server
from gatepost.policy.model.document import FleetDocument
from gatepost_api.connectors.default import default_connector, is_default, rival
from gatepost_api.documents import body_of
from tests.support.control_plane import DOCUMENT, World
from tests.support.policies import NOW

pytestmark = pytest.mark.anyio
BINDINGS = ("0.0.0.0:25", "[::]:25")
ANONYMOUS = r"NT AUTHORITY\ANONYMOUS LOGON"


async def make(world: World, server_id: str, **body: Any) -> Any:
    return await world.operator.post(f"/v1/servers/{server_id}:default-connector", json=body)


def test_it_has_no_finding_that_holds_a_publish_up_and_none_about_our_own_senders() -> None:
    document = FleetDocument.model_validate(
        {
            "accepted_domains": [{"domain": "contoso.com"}],
            "connectors": [default_connector("mx1", BINDINGS)],
            "send_connectors": [
                {"name": "Smart host", "address_spaces": ["*"], "smart_hosts": ["smtp.contoso.com:25"]}
            ],
        }
    )
    found = lint(Side(document, [Server("mx1")], now=NOW))
    assert [finding.rule for finding in found if finding.severity is not Severity.INFO] == []


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        (["0.0.0.0/0"], True),
        (["::/0"], True),
        (["0.0.0.0/1", "128.0.0.0/1"], True),
        ([{"range": "0.0.0.0-255.255.255.255", "note": "all"}], True),
        (["10.0.0.0/8"], False),
        ([], False),
    ],
    ids=str,
)
def test_a_default_connector_is_one_that_takes_everybody(ranges: list[Any], expected: bool) -> None:
    assert is_default({"name": "Any name", "remote_ip_ranges": ranges}) is expected


@pytest.mark.parametrize(
    "other",
    [
        {"enabled": False},
        {"servers": ["mx2"]},
        {"bindings": ["0.0.0.0:587"]},
        {"remote_ip_ranges": ["10.0.0.0/8"]},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_does_not_take_everybody_there_is_no_rival(other: dict[str, Any]) -> None:
    body = body_of(default_connector("mx1", BINDINGS))
    assert rival([body], Server("mx1"), ["10.1.1.1:25"]) == body
    assert rival([body | other], Server("mx1"), ["10.1.1.1:25"]) is None


async def test_one_call_makes_it_and_it_takes_mail_for_accepted_domains_only(world: World) -> None:
    agent = await world.enroll("mx1")
    domains = "accepted_domains:\n  - {domain: contoso.com, type: authoritative}\n"
    await world.put_draft(domains)
    made = await make(world, agent.server_id)
    assert made.status_code == 201, made.text
    body = made.json()
    assert (body["name"], body["servers"]) == ("Default Frontend mx1", ["mx1"])
    assert body["bindings"] == list(BINDINGS)
    rows = (
        await world.viewer.get(f"/v1/connectors/{body['id']}/permissions", params={"user": ANONYMOUS})
    ).json()
    explicit = [(row["right"], row["deny"]) for row in rows["items"] if row["source"] == "explicit"]
    assert explicit == [("ms-Exch-SMTP-Accept-Authoritative-Domain-Sender", True)]
    assert (await world.publish()).status_code == 201

    async def reply(
        mail_from: str, rcpt_to: str, remote: str = "203.0.113.9", local: str = "0.0.0.0:25"
    ) -> str:
        question = {
            "server": "mx1", "remote": remote, "local": local, "mail_from": mail_from, "rcpt_to": rcpt_to
        }  # fmt: skip
        answer = (await world.viewer.post("/v1/explain", json=question)).json()
        found: str = answer["reply"]
        return found

    assert (await reply("a@fabrikam.com", "kate@contoso.com")).startswith("250 2.1.5")
    assert (await reply("a@fabrikam.com", "kate@contoso.com", "2001:db8::9", "[::]:25")).startswith("250")
    assert (await reply("a@fabrikam.com", "kate@adatum.com")).startswith("550 5.7.1")
    assert (await reply("ceo@contoso.com", "kate@contoso.com")).startswith("550 5.7.1")


async def test_a_server_that_has_one_gets_no_second(world: World) -> None:
    agent = await world.enroll("mx1")
    await world.put_draft(DOCUMENT)
    refused = await make(world, agent.server_id)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    assert "'Default Frontend'" in refused.json()["detail"]
    assert (await make(world, agent.server_id, bindings=["0.0.0.0:2525"])).status_code == 201
    assert (
        (await make(world, agent.server_id, bindings=["0.0.0.0:2526"])).json()["type"].endswith("name-taken")
    )


async def test_a_server_that_is_gone_gets_none(world: World) -> None:
    agent = await world.enroll("mx1")
    await world.admin.post(f"/v1/servers/{agent.server_id}:retire", json={})
    assert (await make(world, agent.server_id)).status_code == 409
    assert (await make(world, "srv_nobody")).status_code == 404


async def test_bindings_are_checked_and_a_long_name_is_cut(world: World) -> None:
    name = "m" * 63
    agent = await world.enroll(name)
    wrong = await make(world, agent.server_id, bindings=["nowhere"])
    assert wrong.json()["errors"][0]["pointer"] == "/bindings/0"
    made = await make(world, agent.server_id)
    assert (made.json()["name"], made.json()["servers"]) == (f"Default Frontend {name}"[:64], [name])


@pytest.mark.parametrize("method", ["anonymous", "externally_secured"])
async def test_relay_rights_on_a_default_connector_are_refused_with_the_reason(
    small_world: World, method: str
) -> None:
    await small_world.put_draft(DOCUMENT)
    listed = (await small_world.viewer.get("/v1/connectors", params={"name": "Default Frontend"})).json()
    path = f"/v1/connectors/{listed['items'][0]['id']}"
    refused = await small_world.operator.post(f"{path}/anonymous-relay", json={"method": method})
    assert refused.status_code == 409
    assert "open relay" in refused.json()["detail"]
    assert "dedicated connector" in refused.json()["detail"]
    assert (await small_world.viewer.get(path)).json() == listed["items"][0]
