"""A rollout as it is shown."""

from typing import Literal

from pydantic import BaseModel


class Failure(BaseModel):
    """A server that does not run the revision and will not by itself; why."""

    server_id: str
    server: str
    state: str
    reason: str


class RolloutOut(BaseModel):
    """`servers` counts by assignment state; `waiting_for` and `failures` name the first hundred."""

    revision: int
    state: Literal["progressing", "succeeded", "failed", "superseded"]
    servers: dict[str, int]
    waiting_for: list[str]
    unreachable: list[str]
    failures: list[Failure]
