"""Enrollment tokens as they are asked for and shown."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gatepost_api.servers.schemas import Addresses, Labels, ServerName


class EnrollmentTokenIn(BaseModel):
    """A token to create. Labels and addresses are what the server gets; a host cannot claim others."""

    model_config = ConfigDict(extra="forbid")

    name: ServerName | None = None
    labels: Labels = {}
    addresses: Addresses = {}
    ttl_s: Annotated[int, Field(ge=60, le=30 * 86400)] = 3600
    uses: Annotated[int, Field(ge=1, le=10_000)] = 1


class EnrollmentTokenOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str | None = Field(validation_alias="server_name")
    labels: dict[str, str]
    addresses: dict[str, str]
    uses_left: int
    created_by: str
    created_at: datetime
    expires_at: datetime


class CreatedEnrollmentToken(BaseModel):
    """The one answer that shows the token; it carries the fleet key's fingerprint, so the host can pin it."""

    id: str
    name: str | None
    labels: dict[str, str]
    addresses: dict[str, str]
    uses_left: int
    expires_at: datetime
    token: str
    fingerprint: str
