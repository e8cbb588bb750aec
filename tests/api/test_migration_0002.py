"""Devices that were stored before 0002 keep what they had counted, on the way up and down."""

import asyncio
import json
from typing import Any

from alembic import command
from sqlalchemy import Connection, text

from gatepost_api.checkins.sightings import totals
from gatepost_api.db import create_writer
from gatepost_api.schema import alembic_config, migrate

COUNTED: dict[str, Any] = {
    "accepted": 4,
    "refused": {"550 5.7.1": 2},
    "tolerances": {},
}
SEEN = COUNTED | {
    "address": "10.20.0.7", "connector": "Relay", "range": "10.20.0.0/24", "helo": "printer", "tls": ""
}  # fmt: skip
SERVER = """INSERT INTO server VALUES ('srv_1', 'mx1', 'mx1', '', '{}', '{}', '', '{}', '{}', 'active', 1, 'key',
    NULL, '2026-11-24 12:00:00')"""
DEVICE = """INSERT INTO device (server_id, address, connector, seen, first_seen, last_seen)
    VALUES ('srv_1', '10.20.0.7', 'Relay', :seen, '2026-11-24 12:00:00', '2026-11-24 13:00:00')"""


def stored(connection: Connection, columns: str) -> tuple[Any, ...]:
    row = connection.execute(text(f"SELECT {columns}, seen FROM device")).one()
    seen = row[-1] if isinstance(row[-1], dict) else json.loads(row[-1])
    return (*row[:-1], seen)


def down(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0001")


def test_what_devices_had_counted_survives(database_url: str) -> None:
    async def story() -> None:
        engine = create_writer(database_url)
        await migrate(engine, "0001")
        async with engine.begin() as connection:
            await connection.execute(text(SERVER))
            await connection.execute(text(DEVICE), {"seen": json.dumps(SEEN)})
        await migrate(engine, "0002")
        async with engine.begin() as connection:
            range_, seen = await connection.run_sync(stored, "range")
            assert (range_, seen["helo"], totals(seen)) == ("10.20.0.0/24", "printer", COUNTED)
            await connection.run_sync(down)
            assert (await connection.run_sync(stored, "address"))[-1] == SEEN
        await engine.dispose()

    asyncio.run(story())
