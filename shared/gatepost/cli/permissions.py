"""`gatepost permissions` and `permission add|remove`: who holds which extended right on a connector."""

from typing import Annotated, Any

import typer

from gatepost.cli.answers import Answer
from gatepost.cli.connectors import NEXT, Connector
from gatepost.cli.settings import connected
from gatepost.cli.tables import listing

group = typer.Typer(name="permission", help="Extended rights of a security principal: add, remove.")
User = Annotated[str, typer.Option(help=r"The security principal: 'NT AUTHORITY\ANONYMOUS LOGON'")]
COLUMNS = (
    ("User", "user"),
    ("ExtendedRights", "right"),
    ("Deny", lambda row: str(row["deny"])),
    ("Inherited", lambda row: str(row["inherited"])),
    ("Source", "source"),
    ("Effect", "effect"),
)


def permissions(
    ctx: typer.Context,
    connector: Connector,
    user: Annotated[
        str | None, typer.Option(help=r"Only this security principal: 'NT AUTHORITY\ANONYMOUS LOGON'")
    ] = None,
) -> Answer:
    """Who holds which extended right on a connector, and where that comes from, as Get-ADPermission lists it."""
    with connected(ctx) as client:
        rows = list(client.connectors.permissions(connector, user=user))
    return listing(rows, COLUMNS, "No such permissions.")


@group.command(
    epilog=r"""Example: gatepost permission add "Anonymous Relay" --user 'NT AUTHORITY\ANONYMOUS LOGON'
    --right Ms-Exch-SMTP-Accept-Any-Recipient"""
)
def add(
    ctx: typer.Context,
    connector: Connector,
    *,
    user: User,
    right: Annotated[list[str], typer.Option(help="An extended right; may be repeated")],
    deny: Annotated[bool, typer.Option("--deny", help="Deny it instead")] = False,
) -> Answer:
    """Allow or deny extended rights to a principal; in the draft."""
    with connected(ctx) as client:
        return _changed(client.connectors.add_permissions(connector, user, right, deny=deny))


@group.command()
def remove(
    ctx: typer.Context,
    connector: Connector,
    *,
    user: User,
    right: Annotated[str, typer.Option(help="An extended right")],
    deny: Annotated[bool, typer.Option("--deny", help="The entry that denies it")] = False,
) -> Answer:
    """Take an explicit entry away; what a permission group gives stays. In the draft."""
    with connected(ctx) as client:
        return _changed(client.connectors.remove_permission(connector, user, right, deny=deny))


def _changed(rows: list[dict[str, Any]]) -> Answer:
    return listing(rows, COLUMNS, "The principal has no entry left.")._replace(note=NEXT)


COMMANDS = {"permissions": permissions}
