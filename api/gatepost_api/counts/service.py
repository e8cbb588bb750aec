"""Summing what servers reported."""

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.checkins.counters import Totals, added
from gatepost_api.checkins.sightings import totals
from gatepost_api.counts import repository
from gatepost_api.counts.repository import WantedDevices
from gatepost_api.counts.schemas import CountsOut, DeviceOut, ServerCounts
from gatepost_api.draft import repository as draft_rows
from gatepost_api.errors import NotFound
from gatepost_api.revisions import repository as revisions
from gatepost_api.revisions.service import content_of
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


async def check_wanted(session: AsyncSession, wanted: WantedDevices) -> None:
    """NotFound for a server or connector that there is not, which has no devices for another reason."""
    if wanted.server is not None and not await repository.has_server(session, wanted.server):
        raise NotFound(f"There is no server {wanted.server!r}.")
    if wanted.connector and not await _is_connector(session, wanted.connector):
        raise NotFound(
            f"There is no connector {wanted.connector!r} in the draft, in what is published or among the devices seen. "
            "Write its name as it is listed."
        )


async def _is_connector(session: AsyncSession, name: str) -> bool:
    if await repository.has_devices_at(session, name):
        return True
    if any(piece.name == name for piece in await draft_rows.pieces(session, "connectors")):
        return True
    latest = await revisions.latest(session)
    published = {} if latest is None else content_of(latest)
    return any(connector["name"] == name for connector in published.get("connectors", ()))


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
