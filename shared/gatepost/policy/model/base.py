"""The base of every configured model: frozen, unknown fields refused."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gatepost.policy.model.errors import BadValue

_SELECTOR = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9._-]{0,62}(?:=[A-Za-z0-9._-]{1,63})?")


class Configured(BaseModel):
    """A piece of the fleet document. Unset fields never widen what is allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)


def _selector(text: str) -> str:
    if not _SELECTOR.fullmatch(text):
        raise BadValue(text, "not a server selector", 'Write "*", a server name, or a label as site=fra.')
    return text


def _name(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise BadValue(text, "not a name", "Use printable characters without spaces at the ends.")
    return text


Selector = Annotated[str, AfterValidator(_selector)]
Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_name)]
