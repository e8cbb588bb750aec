"""Summing what servers reported."""

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.checkins.counters import Totals, added
from gatepost_api.checkins.sightings import totals
from gatepost_api.counts import repository
from gatepost_api.counts.schemas import CountsOut, DeviceOut, ServerCounts
from gatepost_api.tables import Device, Server


async def counts(session: AsyncSession, server: str | None, connector: str | None) -> CountsOut:
    """Totals over all incarnations, for one server or connector or for all."""
    by_server: dict[str, tuple[str, list[Totals]]] = {}
    for row, mark in await repository.marks(session, server):
        _, sets = by_server.setdefault(row.id, (row.name, []))
        sets.append({name: events for name, events in mark.totals.items() if connector in {None, name}})
    servers = [
        ServerCounts(server_id=server_id, server=name, connectors=added(sets))
        for server_id, (name, sets) in by_server.items()
    ]
    connectors = added(one.connectors for one in servers)
    fleet = added({"all": events} for events in connectors.values()).get("all", {})
    return CountsOut(totals=fleet, connectors=connectors, servers=servers)


def shown_device(pair: tuple[Server, Device]) -> DeviceOut:
    server, device = pair
    return DeviceOut(
        **totals(device.seen),
        **{name: device.seen[name] for name in ("helo", "tls")},
        server_id=server.id,
        server=server.name,
        address=device.address,
        connector=device.connector,
        range=device.range,
        first_seen=device.first_seen,
        last_seen=device.last_seen,
    )
