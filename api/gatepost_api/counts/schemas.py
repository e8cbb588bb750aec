"""Counts and devices as they are shown."""

from datetime import datetime

from pydantic import BaseModel


class ServerCounts(BaseModel):
    """Totals of one server since it was enrolled: connector -> event -> number."""

    server_id: str
    server: str
    connectors: dict[str, dict[str, int]]


class CountsOut(BaseModel):
    """`totals` is the fleet's: event -> number; `connectors` the same by connector."""

    totals: dict[str, int]
    connectors: dict[str, dict[str, int]]
    servers: list[ServerCounts]


class DeviceOut(BaseModel):
    """A client address as a server last reported it."""

    server_id: str
    server: str
    address: str
    connector: str
    range: str
    first_seen: datetime
    last_seen: datetime
    accepted: int
    refused: dict[str, int]
    helo: str
    tls: str
    tolerances: dict[str, int]
