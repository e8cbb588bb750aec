"""Counter marks and devices."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.tables import CounterMark, Device, Server


class WantedDevices(NamedTuple):
    """Filters of the device listing; `range` as it is typed in the connector."""

    server: str | None = None
    connector: str | None = None
    address: str | None = None
    range: str | None = None
    last_seen__lt: datetime | None = None


def _is(server: str) -> ColumnElement[bool]:
    return (Server.name_key == server.lower()) | (Server.id == server)


async def has_server(session: AsyncSession, server: str) -> bool:
    return (await session.scalars(select(Server.id).where(_is(server)))).first() is not None


async def has_devices_at(session: AsyncSession, connector: str) -> bool:
    query = select(Device.connector).where(Device.connector == connector).limit(1)
    return (await session.scalars(query)).first() is not None


async def marks(session: AsyncSession, server: str | None) -> list[tuple[Server, CounterMark]]:
    """Every incarnation's marks beside its server; `server` is a name in any case, or an id."""
    query = select(Server, CounterMark).join(CounterMark, CounterMark.server_id == Server.id)
    if server is not None:
        query = query.where(_is(server))
    return [(row[0], row[1]) for row in (await session.execute(query.order_by(Server.id))).all()]


async def page_of_devices(
    session: AsyncSession, wanted: WantedDevices, after: tuple[str, str, str] | None, limit: int
) -> Sequence[tuple[Server, Device]]:
    """Up to `limit` devices in the order of server, address and connector."""
    key = tuple_(Device.server_id, Device.address, Device.connector)
    query = select(Server, Device).join(Device, Device.server_id == Server.id).limit(limit)
    if after is not None:
        query = query.where(key > after)
    if wanted.server is not None:
        query = query.where(_is(wanted.server))
    if wanted.connector is not None:
        query = query.where(Device.connector == wanted.connector)
    if wanted.address is not None:
        query = query.where(Device.address == wanted.address)
    if wanted.range is not None:
        query = query.where(Device.range == wanted.range)
    if wanted.last_seen__lt is not None:
        query = query.where(Device.last_seen < wanted.last_seen__lt)
    query = query.order_by(Device.server_id, Device.address, Device.connector)
    return [(row[0], row[1]) for row in (await session.execute(query)).all()]
