"""Everything that grows has a bound: a rule for each table, and a sweep that keeps to it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from gatepost_api.retention import FOLD_ABOVE, fold_counters, kept_days, sweep
from gatepost_api.tables import AuditEvent, Base, CounterMark, IdempotencyRow
from tests.support.control_plane import World

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_every_table_says_how_it_stays_bounded() -> None:
    for table in Base.metadata.sorted_tables:
        rule = table.info.get("keeps")
        assert rule in {"fixed", "referenced", "for ever"} or kept_days(table), table.name
        if kept_days(table):
            assert table.info["by"] in table.c, table.name


def event(at: datetime, name: str) -> AuditEvent:
    return AuditEvent(
        at=at, actor="a", token_id="t", remote="r", request_id="q", action="edit", object_kind="connector",
        object_id=name, object_name=name, before=None, after=None, reason="",
    )  # fmt: skip


async def test_old_audit_events_go_but_the_first_and_last_of_each_object(world: World) -> None:
    database = world.app.state.database
    old = NOW - timedelta(days=500)
    async with database.writing() as session:
        session.add_all(event(old + timedelta(days=n), "one") for n in range(4))
        session.add(event(NOW, "two"))
        session.add(
            IdempotencyRow(
                token_id="t", key="k", fingerprint="f", status=201, headers={}, body=b"", created_at=old
            )
        )
    await sweep(database, NOW, audit_days=400)
    async with database.reading() as session:
        left = select(AuditEvent.at).where(AuditEvent.object_id == "one").order_by(AuditEvent.id)
        assert list(await session.scalars(left)) == [old, old + timedelta(days=3)]
        assert await session.scalar(select(func.count()).select_from(IdempotencyRow)) == 0


async def test_folded_counters_keep_their_sum_and_are_not_counted_again(world: World) -> None:
    agent = await world.enroll("mx1")
    database = world.app.state.database
    async with database.writing() as session:
        for number in range(FOLD_ABOVE + 5):
            at = NOW - timedelta(hours=number)
            session.add(
                CounterMark(
                    server_id=agent.server_id,
                    incarnation=f"incarnation-{number}",
                    totals={"Relay": {"accepted": 1}},
                    folded=[],
                    updated_at=at,
                )
            )
    async with database.writing() as session:
        await fold_counters(session, NOW)
    counts = (await world.viewer.get("/v1/counts")).json()
    assert counts["totals"] == {"accepted": FOLD_ABOVE + 5}
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(CounterMark)) == FOLD_ABOVE + 1
    from gatepost.wire import CounterSet

    again = CounterSet(incarnation=f"incarnation-{FOLD_ABOVE + 4}", totals={"Relay": {"accepted": 1}})
    await agent.checkin(counters=(again,))
    assert (await world.viewer.get("/v1/counts")).json()["totals"] == counts["totals"]
