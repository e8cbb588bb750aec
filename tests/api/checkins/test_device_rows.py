"""Devices and range hits in the database: merged over check-ins, bounded for each server, asked for over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from gatepost.wire import CheckinRequest, DeviceRow, HitRow
from gatepost_api.checkins import device_rows
from gatepost_api.checkins.device_rows import write_devices
from gatepost_api.checkins.sightings import MAX_KIND
from gatepost_api.tables import Device, RangeHit
from tests.support.control_plane import DOCUMENT, World

pytestmark = pytest.mark.anyio


def device(address: str = "10.20.0.7", **other: Any) -> DeviceRow:
    given = {"connector": "Anonymous Relay", "range": "10.20.0.0/24", "accepted": 1}
    return DeviceRow(address=address, **(given | other))


async def devices(world: World, **filters: Any) -> list[dict[str, Any]]:
    answer = await world.viewer.get("/v1/devices", params=filters)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["items"]
    return rows


async def test_a_device_is_shown_as_reported(world: World) -> None:
    agent = await world.enroll("mx1")
    seen = device(
        accepted=4, refused={"550 5.7.1": 2}, helo="printer", tls="TLSv1.2",
        tolerances={"bare_lf_line": 3}, first_seen_age_s=600, last_seen_age_s=60,
    )  # fmt: skip
    await agent.checkin(devices=(seen,))
    (shown,) = await devices(world)
    assert shown["server"] == "mx1"
    assert {name: shown[name] for name in ("accepted", "refused", "helo", "tls", "tolerances", "range")} == {
        "accepted": 4, "refused": {"550 5.7.1": 2}, "helo": "printer", "tls": "TLSv1.2",
        "tolerances": {"bare_lf_line": 3}, "range": "10.20.0.0/24",
    }  # fmt: skip
    span = datetime.fromisoformat(shown["last_seen"]) - datetime.fromisoformat(shown["first_seen"])
    assert span == timedelta(seconds=540)


async def test_check_ins_add_up_over_a_restart_of_the_agent(world: World) -> None:
    agent = await world.enroll("mx1")
    for _ in range(2):
        await agent.checkin(devices=(device(accepted=3, first_seen_age_s=3600),))
    agent.incarnation, agent.seq = "incarnation-2", 0
    await agent.checkin(devices=(device(accepted=2),))
    (shown,) = await devices(world)
    assert shown["accepted"] == 5


async def test_devices_are_filtered(world: World) -> None:
    one, two = await world.enroll("mx1"), await world.enroll("mx2")
    await one.checkin(devices=(device("10.20.0.7"), device("2001:db8::7", range="2001:db8::/64")))
    await two.checkin(devices=(device("10.20.0.9", connector="Other", last_seen_age_s=7200),))

    async def found(**filters: str) -> set[str]:
        return {row["address"] for row in await devices(world, **filters)}

    assert await found(server="MX1") == {"10.20.0.7", "2001:db8::7"}
    assert await found(connector="Other") == {"10.20.0.9"}
    assert await found(range="2001:db8::/64") == {"2001:db8::7"}
    assert await found(address="2001:DB8:0::7") == {"2001:db8::7"}
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert await found(last_seen__lt=hour_ago) == {"10.20.0.9"}
    for wrong in ({"address": "printer"}, {"range": "nowhere"}, {"last_seen__lt": "yesterday"}):
        answer = await world.viewer.get("/v1/devices", params=wrong)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == f"#query/{next(iter(wrong))}"


async def test_a_server_keeps_a_bounded_number_and_one_row_for_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_rows, "MAX_DEVICES", 10)
    agent, other = await world.enroll("mx1"), await world.enroll("mx2")
    await other.checkin(devices=(device(),))
    for number in range(30):
        age = 1000.0 - number
        seen = device(
            f"10.20.0.{number}", refused={"550 5.7.1": 1}, last_seen_age_s=age, first_seen_age_s=age
        )
        await agent.checkin(devices=(seen,))
    rows = await devices(world, server="mx1")
    assert len(rows) <= 11
    assert sum(row["accepted"] for row in rows) == 30
    assert sum(row["refused"]["550 5.7.1"] for row in rows) == 30
    kept = {row["address"] for row in rows}
    assert "other" in kept
    assert "10.20.0.29" in kept
    assert "10.20.0.0" not in kept
    assert len(await devices(world, server="mx2")) == 1
    assert await devices(world, server="mx1", address="other")


async def test_the_latest_hit_of_a_range_stands(world: World) -> None:
    agent = await world.enroll("mx1")
    database = world.app.state.database
    now = datetime.now(UTC).replace(microsecond=0)
    ages = ((100.0, "10.20.0.7"), (20.0, "10.20.0.8"), (500.0, "10.20.0.9"))
    for age, address in ages:
        report = agent.report(devices=(device(address, last_seen_age_s=age), DeviceRow(address="10.9.9.9")))
        async with database.writing() as session:
            await write_devices(session, [(agent.server_id, now, report)])
    async with database.reading() as session:
        rows = (await session.execute(select(RangeHit.connector, RangeHit.range, RangeHit.last_hit))).all()
    assert [tuple(row) for row in rows] == [("Anonymous Relay", "10.20.0.0/24", now - timedelta(seconds=20))]


async def test_hits_are_told_apart_from_devices(world: World) -> None:
    agent = await world.enroll("mx1")
    database = world.app.state.database
    now = datetime.now(UTC).replace(microsecond=0)
    hits = (HitRow(connector="Relay", range="10.0.0.1", age_s=30), HitRow(connector="Other", range="::/0"))
    async with database.writing() as session:
        await write_devices(session, [(agent.server_id, now, agent.report(hits=hits))])
    async with database.reading() as session:
        rows = (await session.execute(select(RangeHit.connector, RangeHit.range, RangeHit.last_hit))).all()
    assert {tuple(row) for row in rows} == {
        ("Relay", "10.0.0.1", now - timedelta(seconds=30)),
        ("Other", "::/0", now),
    }


async def test_range_hits_are_bounded_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_rows, "MAX_HITS", 10)
    agent = await world.enroll("mx1")
    for number in range(25):
        name = f"10.20.{number}.0/24"
        await agent.checkin(
            devices=(device(f"10.20.{number}.1", range=name, last_seen_age_s=100.0 - number),)
        )
    async with world.app.state.database.reading() as session:
        hits = set(await session.scalars(select(RangeHit.range)))
    assert len(hits) <= 11
    assert "10.20.24.0/24" in hits


async def test_a_filter_for_what_there_is_not_is_404_and_not_an_empty_list(world: World) -> None:
    agent = await world.enroll("mx1")
    for wrong in ({"server": "zz"}, {"connector": "zz"}, {"server": "mx1", "connector": "zz"}):
        answer = await world.viewer.get("/v1/devices", params=wrong)
        assert answer.status_code == 404, wrong
        assert "'zz'" in answer.json()["detail"]
    assert await devices(world, server="MX1") == []

    await world.put_draft()
    assert await devices(world, connector="Anonymous Relay") == []  # drafted
    await world.publish()
    await world.put_draft("connectors: []")
    assert await devices(world, connector="Anonymous Relay") == []  # published
    await agent.checkin(devices=(device(connector="Gone"),))
    assert len(await devices(world, connector="Gone")) == 1  # seen
    assert await devices(world, connector="") == []


async def test_a_retired_servers_devices_stay_until_they_are_old(world: World) -> None:
    agent = await world.enroll("mx1")
    await agent.checkin(devices=(device(),))
    await world.admin.post(f"/v1/servers/{agent.server_id}:retire", json={})
    assert len(await devices(world, server=agent.server_id)) == 1


async def test_what_a_wild_agent_says_is_kept_within_bounds(world: World) -> None:
    agent = await world.enroll("mx1")
    wild = CheckinRequest(
        seq=1,
        incarnation="incarnation-1",
        devices=(
            DeviceRow(address="x" * 1000, connector="y" * 1000, range="z" * 1000, accepted=-4),
            DeviceRow(address="x" * 1001, connector="y" * 1000, refused={"k" * 500: -1}),
        ),
    )
    assert (await agent.send(wild)).status_code == 200
    async with world.app.state.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Device)) == 1
    (shown,) = await devices(world)
    assert (shown["accepted"], shown["refused"]) == (0, {"k" * MAX_KIND: 0})


async def test_the_ranges_of_a_connector_show_which_are_not_used(world: World) -> None:
    agent = await world.enroll("mx1")
    noted = '{range: 192.168.5.11, note: scanner, expires_at: "2099-01-01T00:00:00Z"}'
    await world.publish(DOCUMENT.replace("192.168.5.11", noted))
    await agent.checkin(
        devices=(device(), device("192.168.5.10", range="192.168.5.10", last_seen_age_s=7200))
    )
    listed = (await world.viewer.get("/v1/connectors", params={"name": "anonymous relay"})).json()["items"]
    path = f"/v1/connectors/{listed[0]['id']}/ranges"
    rows = (await world.viewer.get(path)).json()["items"]
    assert [row["range"] for row in rows] == ["192.168.5.10", "192.168.5.11", "10.20.0.0/24"]
    assert [row["last_hit"] is not None for row in rows] == [True, False, True]
    assert (rows[1]["note"], rows[1]["expires_at"]) == ("scanner", "2099-01-01T00:00:00Z")
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    unused = (await world.viewer.get(path, params={"unused_since": since})).json()["items"]
    assert [row["range"] for row in unused] == ["192.168.5.10", "192.168.5.11"]
    first = (await world.viewer.get(path, params={"limit": 2})).json()
    second = (await world.viewer.get(path, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert first["items"] + second["items"] == rows
    assert second["next_cursor"] is None
