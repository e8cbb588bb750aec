"""What may be planned, and acknowledgements of findings."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class PlanIn(BaseModel):
    """The document to plan; without one it is the draft."""

    model_config = ConfigDict(extra="forbid")

    document: dict[str, Any] | None = None


class AcknowledgementIn(BaseModel):
    """Takes a finding on: exactly what was found, for a time, with a reason. Without `until`: 90 days."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(max_length=80)]
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    until: AwareDatetime | None = None


class AcknowledgementOut(BaseModel):
    id: str
    who: str
    reason: str
    until: datetime
