"""`gatepost enrollment-token`: what lets a mail host in, once."""

from typing import Annotated

import typer

from gatepost.cli.answers import Answer
from gatepost.cli.settings import connected
from gatepost.cli.tables import ago, listing
from gatepost.cli.values import duration_s, named

group = typer.Typer(name="enrollment-token", help="Tokens that let a mail host in.")
COLUMNS = (
    ("id", "id"),
    ("server", "name"),
    ("labels", "labels"),
    ("addresses", "addresses"),
    ("uses left", "uses_left"),
    ("expires", lambda row: ago(row["expires_at"])),
    ("by", "created_by"),
)


@group.command(
    epilog="Example: gatepost enrollment-token create --name mx1 --label site=fra --address internal=10.1.1.1"
)
def create(
    ctx: typer.Context,
    *,
    name: Annotated[str | None, typer.Option(help="The name of the server that it lets in")] = None,
    label: Annotated[list[str] | None, typer.Option(help="site=fra; may be repeated")] = None,
    address: Annotated[list[str] | None, typer.Option(help="internal=10.1.1.1; may be repeated")] = None,
    expires_in: Annotated[str, typer.Option(help="30m, 1h, 7d")] = "1h",
    uses: Annotated[int, typer.Option(min=1, help="How many hosts it lets in")] = 1,
) -> Answer:
    """Print a new token, this once and alone."""
    labels = named(label or (), "site=fra")
    addresses = named(address or (), "internal=10.1.1.1")
    ttl_s = duration_s(expires_in)
    with connected(ctx) as client:
        made = client.enrollment_tokens.create(
            name=name, labels=labels, addresses=addresses, ttl_s=ttl_s, uses=uses
        )
    note = f"Good for {made['uses_left']} use(s), expires {ago(made['expires_at'])}. It is not shown again."
    return Answer({"token": made["token"]}, str(made["token"]), note)


@group.callback(invoke_without_command=True)
def enrollment_tokens(ctx: typer.Context) -> Answer | None:
    """List enrollment tokens of the last 30 days; `create` makes one."""
    return _listed(ctx) if ctx.invoked_subcommand is None else None


@group.command("list")
def list_tokens(ctx: typer.Context) -> Answer:
    """Enrollment tokens of the last 30 days, without their secrets."""
    return _listed(ctx)


def _listed(ctx: typer.Context) -> Answer:
    with connected(ctx) as client:
        rows = list(client.enrollment_tokens.list())
    return listing(rows, COLUMNS, "No enrollment tokens.")


@group.command()
def revoke(ctx: typer.Context, token_id: Annotated[str, typer.Argument(metavar="ID")]) -> Answer:
    """Let nobody enrol with it any more."""
    with connected(ctx) as client:
        gone = client.enrollment_tokens.revoke(token_id)
    return Answer(gone, note=f"Revoked {token_id}.")
