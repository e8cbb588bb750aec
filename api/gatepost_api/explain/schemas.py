"""A question to explain; its fields are those of a test in the fleet document, and what goes on at the host."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gatepost.policy.analysis.circumstances import Circumstance
from gatepost.policy.analysis.explain import Explanation
from gatepost.policy.model.connector import Moment
from gatepost.policy.model.values import AddressText, BindingText

Line = Annotated[str, Field(max_length=4096)]


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class ExplainIn(BaseModel):
    """What a client does on a server; `of` says under which document."""

    model_config = ConfigDict(extra="forbid")

    server: Annotated[str, Field(max_length=64, description="The server's name or id")]
    remote: AddressText
    local: BindingText | None = None
    helo: Line = "test"
    mail_from: Line | None = None
    rcpt_to: Annotated[tuple[Line, ...], BeforeValidator(_listed), Field(max_length=100)] = ()
    lines: Annotated[tuple[Line, ...], Field(max_length=1000)] = ()
    tls: bool = False
    user: Annotated[str | None, Field(max_length=64)] = None
    at: Moment | None = None
    when: Annotated[Circumstance | None, Field(description="What else goes on at the host")] = None
    of: Literal["published", "draft"] = "published"


class ExplainOut(Explanation):
    """What would happen, and of what is published: why the server may do something else."""

    caveats: tuple[str, ...] = ()
