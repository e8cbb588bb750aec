"""A connector's ranges as they are shown, and what makes a default connector."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gatepost.policy.model.values import BindingText


class ConnectorRange(BaseModel):
    """A remote IP range as typed; `last_hit`: when it last took a client on any server, null for not in 400 days."""

    range: str
    note: str
    expires_at: datetime | None
    last_hit: datetime | None


class DefaultConnectorIn(BaseModel):
    """Where the default connector listens."""

    model_config = ConfigDict(extra="forbid")

    bindings: Annotated[tuple[BindingText, ...], Field(min_length=1, max_length=64)] = (
        "0.0.0.0:25",
        "[::]:25",
    )
