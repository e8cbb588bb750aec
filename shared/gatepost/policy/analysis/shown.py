"""The base of every answer that people and programs are shown: plain values, frozen, the same in API and command."""

from pydantic import BaseModel, ConfigDict


class Shown(BaseModel):
    """Serialised with `model_dump(mode="json")`; field names are part of the outside interface."""

    model_config = ConfigDict(frozen=True, extra="forbid")
