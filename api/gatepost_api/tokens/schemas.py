"""API tokens as they are asked for and shown; the token itself is in one answer only."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

RoleName = Literal["viewer", "operator", "admin"]


class ApiTokenIn(BaseModel):
    """A token to create; without `expires_in_s` it lives until it is revoked."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\w .@-]+$")]
    role: RoleName
    expires_in_s: Annotated[int | None, Field(ge=60, le=10 * 366 * 86400)] = None


class ApiTokenOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    role: RoleName
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class CreatedApiToken(ApiTokenOut):
    """The one answer that shows the token."""

    token: str
