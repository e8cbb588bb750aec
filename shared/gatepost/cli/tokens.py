"""`gatepost tokens`: API tokens of people and pipelines."""

from enum import StrEnum
from typing import Annotated

import typer

from gatepost.cli.answers import Answer
from gatepost.cli.settings import connected
from gatepost.cli.tables import ago, listing, moment
from gatepost.cli.values import duration_s

group = typer.Typer(name="tokens", help="API tokens of people and pipelines.")
COLUMNS = (
    ("id", "id"),
    ("name", "name"),
    ("role", "role"),
    ("created", lambda row: moment(row["created_at"])),
    ("by", "created_by"),
    ("expires", lambda row: ago(row["expires_at"])),
    ("revoked", lambda row: moment(row["revoked_at"])),
)


class Role(StrEnum):
    """What a token may do."""

    viewer = "viewer"
    operator = "operator"
    admin = "admin"


@group.command()
def create(
    ctx: typer.Context,
    *,
    name: Annotated[str, typer.Option(help="Who uses it; shown in the audit trail")],
    role: Annotated[Role, typer.Option(help="What it may do")] = Role.viewer,
    expires_in: Annotated[str | None, typer.Option(help="90d, 12h; for ever without it")] = None,
) -> Answer:
    """Print a new token, this once and alone."""
    lifetime = None if expires_in is None else duration_s(expires_in)
    with connected(ctx) as client:
        made = client.api_tokens.create(name, role.value, expires_in_s=lifetime)
    note = f"{made['id']}, {made['role']}. It is not shown again."
    return Answer({"token": made["token"]}, str(made["token"]), note)


@group.callback(invoke_without_command=True)
def tokens(ctx: typer.Context) -> Answer | None:
    """List API tokens, revoked ones too; `create` makes one."""
    return _listed(ctx) if ctx.invoked_subcommand is None else None


@group.command("list")
def list_tokens(ctx: typer.Context) -> Answer:
    """Every token, revoked ones too, without its secret."""
    return _listed(ctx)


def _listed(ctx: typer.Context) -> Answer:
    with connected(ctx) as client:
        rows = list(client.api_tokens.list())
    return listing(rows, COLUMNS, "No tokens.")


@group.command()
def revoke(
    ctx: typer.Context,
    token: Annotated[str, typer.Argument(metavar="ID|NAME", help="Never the token itself")],
) -> Answer:
    """End a token at once."""
    with connected(ctx) as client:
        gone = client.api_tokens.revoke(token)
    return Answer(gone, note=f"Revoked {gone['id']} ({gone['name']}).")
