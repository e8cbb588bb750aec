"""/v1/counts and /v1/devices."""

import json
from typing import Annotated

from fastapi import Depends, Query
from pydantic import AfterValidator, AwareDatetime

from gatepost.policy.model.addresses import parse_address
from gatepost.policy.model.connector import RangeText
from gatepost_api.auth import Viewer
from gatepost_api.checkins.sightings import OVERFLOW
from gatepost_api.counts import repository, service
from gatepost_api.counts.repository import WantedDevices
from gatepost_api.counts.schemas import CountsOut, DeviceOut
from gatepost_api.db import ReadSession
from gatepost_api.errors import BadCursor
from gatepost_api.pages import AskedPage, Page, shown_as
from gatepost_api.routing import noun

router = noun("", "counts")
Name = Annotated[str | None, Query(max_length=255)]


@router.get("/counts")
async def get_counts(
    caller: Viewer, session: ReadSession, server: Name = None, connector: Name = None
) -> CountsOut:
    """Messages accepted, delivered, bounced and refused, by connector and server, since each enrolment."""
    return await service.counts(session, server, connector)


def _address(text: str) -> str:
    """An address as agents report it, or the overflow row's."""
    return text if text == OVERFLOW else str(parse_address(text))


async def wanted_devices(
    server: Name = None,
    connector: Name = None,
    address: Annotated[Annotated[str, AfterValidator(_address)] | None, Query(max_length=64)] = None,
    range_: Annotated[RangeText | None, Query(alias="range", max_length=255)] = None,
    last_seen__lt: AwareDatetime | None = None,
) -> WantedDevices:
    return WantedDevices(server, connector, address, range_, last_seen__lt)


@router.get("/devices")
async def list_devices(
    caller: Viewer,
    session: ReadSession,
    asked: AskedPage,
    wanted: Annotated[WantedDevices, Depends(wanted_devices)],
) -> Page[DeviceOut]:
    """The client addresses that servers saw in the last 90 days; `other` stands for those no longer kept apart."""
    await service.check_wanted(session, wanted)
    rows = await repository.page_of_devices(session, wanted, _after(asked.after), asked.limit + 1)
    page = asked.page(rows, lambda pair: json.dumps([pair[1].server_id, pair[1].address, pair[1].connector]))
    return shown_as(page, service.shown_device)


def _after(text: str | None) -> tuple[str, str, str] | None:
    if text is None:
        return None
    try:
        server_id, address, connector = (str(part) for part in json.loads(text))
    except (ValueError, TypeError) as error:
        raise BadCursor("The cursor is not one of ours; begin again without it.") from error
    return server_id, address, connector
