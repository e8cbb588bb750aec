"""Access control entries as rows."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from gatepost.policy.model.rights import Right, parse_principal, parse_right

Principal = Annotated[str, AfterValidator(parse_principal)]
AnyRight = Annotated[Right, BeforeValidator(lambda text: parse_right(str(text)))]


class PermissionRow(BaseModel):
    """One entry, one right: `source` is `explicit` or `group:<name>`; `effect` says `none here` where it is."""

    user: str
    right: str
    deny: bool
    inherited: bool
    source: str
    effect: str


class PermissionsIn(BaseModel):
    """Rights to allow or deny to one security principal."""

    model_config = ConfigDict(extra="forbid")

    user: Principal
    rights: Annotated[tuple[AnyRight, ...], Field(min_length=1, max_length=50)]
    deny: bool = False
    inherited: bool = False
