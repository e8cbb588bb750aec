"""Revisions as they are asked for and shown."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gatepost_api.plans.schemas import AcknowledgementIn

Acknowledgements = Annotated[tuple[AcknowledgementIn, ...], Field(max_length=100)]
Text = Annotated[str, Field(max_length=1000)]


class PublishIn(BaseModel):
    """Publishes the draft whose ETag is in If-Match."""

    model_config = ConfigDict(extra="forbid")

    message: Text = ""
    acknowledgements: Acknowledgements = ()


class RollbackIn(BaseModel):
    """Publishes an older revision's document again, as a new revision."""

    model_config = ConfigDict(extra="forbid")

    reason: Text = ""
    acknowledgements: Acknowledgements = ()


class RevisionOut(BaseModel):
    """An immutable snapshot. `changed_servers` were given a new generation by it."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    digest: str
    parent: int | None
    rollback_of: int | None
    message: str
    author: str
    created_at: datetime
    report: dict[str, Any]
