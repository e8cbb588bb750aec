"""Blocks as they are asked for and shown."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gatepost.policy.analysis.ranges import Span, span_text
from gatepost.policy.model.addresses import read_range


def canonical(text: str) -> str:
    """The one way to write a block: an address, else a network, else low-high. Raises BadValue."""
    version, lo, hi, _ = read_range(text)
    return span_text(version, Span(lo, hi))


RangeText = Annotated[str, Field(max_length=100), AfterValidator(canonical)]
Reason = Annotated[str, Field(max_length=1000)]


class BlockIn(BaseModel):
    """An address, a network or a range that shall get no service anywhere."""

    model_config = ConfigDict(extra="forbid")

    range: RangeText
    reason: Reason = ""


class OverwriteIn(BaseModel):
    """What shall be blocked besides, from the same moment on: what the hosts know and the backup did not."""

    model_config = ConfigDict(extra="forbid")

    ranges: Annotated[tuple[RangeText, ...], Field(max_length=10_000)] = ()
    reason: Reason = ""


class BlockOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    range: str = Field(validation_alias="address_range")
    reason: str
    created_by: str
    created_at: datetime


class OverwriteOut(BaseModel):
    """`blocks`: those that are new."""

    blocks: list[BlockOut]
