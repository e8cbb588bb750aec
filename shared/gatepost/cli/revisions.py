"""`gatepost revisions`: what was published, when and by whom."""

from typing import Annotated

import typer

from gatepost.cli.answers import Answer
from gatepost.cli.settings import connected
from gatepost.cli.standing import short
from gatepost.cli.tables import listing, moment, pairs

group = typer.Typer(name="revisions", help="What was published: list, show.")
COLUMNS = (
    ("revision", "number"),
    ("digest", lambda row: short(row["digest"])),
    ("when", lambda row: moment(row["created_at"])),
    ("by", "author"),
    ("goes back to", "rollback_of"),
    ("message", "message"),
    ("new for", "report.changed_servers"),
)
Limit = Annotated[int, typer.Option(min=1, help="How many, newest first")]


@group.callback(invoke_without_command=True)
def revisions(ctx: typer.Context, limit: Limit = 20) -> Answer | None:
    """List revisions, newest first; `show N` shows one."""
    return _listed(ctx, limit) if ctx.invoked_subcommand is None else None


@group.command("list")
def list_revisions(ctx: typer.Context, limit: Limit = 20) -> Answer:
    """Revisions, newest first."""
    return _listed(ctx, limit)


def _listed(ctx: typer.Context, limit: int) -> Answer:
    with connected(ctx) as client:
        rows = list(client.revisions.list(limit))
    return listing(rows, COLUMNS, "Nothing was published yet.")


@group.command()
def show(
    ctx: typer.Context,
    revision: Annotated[int, typer.Argument(min=1)],
    document: Annotated[bool, typer.Option("--document", help="Print its document as YAML instead")] = False,
) -> Answer:
    """One revision, or its document."""
    with connected(ctx) as client:
        found = client.revisions.get(revision)
        text = client.revisions.yaml(revision) if document else ""
    return Answer(found | {"document": text}, text) if document else Answer(found, pairs(found))
