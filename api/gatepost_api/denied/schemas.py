"""Blocks as they are asked for and shown."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gatepost.policy.model.addresses import read_range

RangeText = Annotated[str, Field(max_length=100), AfterValidator(lambda text: read_range(text).text)]


class BlockIn(BaseModel):
    """An address, a network or a range that shall get no service anywhere."""

    model_config = ConfigDict(extra="forbid")

    range: RangeText
    reason: Annotated[str, Field(max_length=1000)] = ""


class BlockOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    range: str = Field(validation_alias="address_range")
    reason: str
    created_by: str
    created_at: datetime
