"""`gatepost relay-users`: who may log on with AUTH where a connector takes passwords."""

from typing import Annotated

import typer

from gatepost.cli.answers import Answer
from gatepost.cli.settings import connected
from gatepost.cli.tables import listing, moment, words
from gatepost.client import Record

group = typer.Typer(name="relay-users", help="Relay users and their secrets; servers get a change at once.")
Name = Annotated[str, typer.Argument(metavar="USER", help="The relay user's name")]
COLUMNS = (
    ("user", "name"),
    ("senders", "senders"),
    ("comment", "comment"),
    ("secret since", lambda row: moment(row["secret_since"])),
    ("by", "created_by"),
)


@group.callback(invoke_without_command=True)
def relay_users(ctx: typer.Context) -> Answer | None:
    """List relay users; with a command, do something with one of them."""
    return _listed(ctx) if ctx.invoked_subcommand is None else None


@group.command("list")
def list_relay_users(ctx: typer.Context) -> Answer:
    """Every relay user, without secrets."""
    return _listed(ctx)


def _listed(ctx: typer.Context) -> Answer:
    with connected(ctx) as client:
        return listing(list(client.relay_users.list()), COLUMNS, "No relay users.")


@group.command(epilog="Example: gatepost relay-users create erp --sender erp@contoso.com")
def create(
    ctx: typer.Context,
    user: Name,
    *,
    sender: Annotated[
        list[str] | None,
        typer.Option(help="An address it may send as, whatever the connector says; may be repeated"),
    ] = None,
    comment: Annotated[str, typer.Option(help="What it is")] = "",
) -> Answer:
    """Print a new user's generated secret, this once and alone."""
    with connected(ctx) as client:
        return _secret(client.relay_users.create(user, senders=sender or (), comment=comment))


@group.command("rotate-secret")
def rotate_secret(ctx: typer.Context, user: Name) -> Answer:
    """Print a new secret, this once and alone; the old one ends as servers take the change."""
    with connected(ctx) as client:
        return _secret(client.relay_users.rotate_secret(user))


@group.command()
def senders(
    ctx: typer.Context,
    user: Name,
    addresses: Annotated[list[str] | None, typer.Argument(help="None: no own sender")] = None,
) -> Answer:
    """Set the addresses that a user may send as, whatever the connector says."""
    with connected(ctx) as client:
        return _changed(client.relay_users.change(user, senders=addresses or []))


@group.command()
def delete(ctx: typer.Context, user: Name) -> Answer:
    """End a user's rights."""
    with connected(ctx) as client:
        return _changed(client.relay_users.delete(user))


def _secret(made: Record) -> Answer:
    note = f"The password of {made['user']['name']}. It is not shown again. {_handed(made)}"
    return Answer({"secret": made["secret"]}, str(made["secret"]), note)


def _changed(found: Record) -> Answer:
    return Answer(found, note=_handed(found))


def _handed(found: Record) -> str:
    return f"Servers that get the change: {words(found['changed_servers'])}."
