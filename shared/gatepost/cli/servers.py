"""`gatepost servers`: mail hosts, what they shall run, run and say."""

from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table

from gatepost.cli.answers import Answer
from gatepost.cli.settings import connected
from gatepost.cli.tables import ago, listing, moment, pairs, table
from gatepost.cli.values import named
from gatepost.client import Record
from gatepost.client.servers import Verb

group = typer.Typer(
    name="servers", help="Mail hosts: list, show, label, address, and the verbs that move them."
)
Name = Annotated[str, typer.Argument(help="The server's name", metavar="SERVER")]
Reason = Annotated[str, typer.Option(help="Why; kept in the audit trail")]
COLUMNS = (
    ("server", "name"),
    ("state", "state"),
    ("seen", lambda row: ago(row["last_seen"]) if row["online"] else "offline"),
    ("health", "health.status"),
    ("revision", "assignment.revision"),
    ("config", "assignment.state"),
    ("generation", "assignment.generation"),
    ("running", "running.generation"),
    ("labels", "labels"),
    ("addresses", "addresses"),
)


@group.callback(invoke_without_command=True)
def servers(
    ctx: typer.Context,
    state: Annotated[str | None, typer.Option(help="active, retired or banned")] = None,
    config: Annotated[
        str | None, typer.Option(help="Only with this config state: pending, rejected, …")
    ] = None,
) -> Answer | None:
    """List mail hosts; with a command, do something with one of them."""
    if ctx.invoked_subcommand is not None:
        return None
    return _listed(ctx, state, config)


@group.command("list")
def list_servers(ctx: typer.Context, state: str | None = None, config: str | None = None) -> Answer:
    """Every server: state, when it was heard of, what it shall run and runs."""
    return _listed(ctx, state, config)


def _listed(ctx: typer.Context, state: str | None, config: str | None) -> Answer:
    with connected(ctx) as client:
        rows = list(client.servers.list(state=state, assignment_state=config))
    return listing(rows, COLUMNS, "No servers.")


@group.command()
def show(ctx: typer.Context, server: Name) -> Answer:
    """One server: desired, running and last attempt, health, and its latest attempts."""
    with connected(ctx) as client:
        found = client.servers.get(server).body
        attempts = client.servers.attempts(str(found["id"]))
    parts: list[RenderableType] = [_sheet(found)]
    if found["health"].get("conditions"):
        parts += ["", _conditions(found)]
    if attempts:
        parts += ["", _attempts(attempts)]
    return Answer(found | {"attempts": attempts}, Group(*parts))


def _sheet(found: dict[str, Any]) -> Table:
    assignment = found["assignment"]
    return pairs(
        {
            "Name": found["name"],
            "Id": found["id"],
            "State": found["state"],
            "Online": found["online"],
            "Last seen": f"{moment(found['last_seen'])} ({ago(found['last_seen'])})",
            "FQDN": found["fqdn"],
            "Labels": found["labels"],
            "Addresses": found["addresses"],
            "Waits for a publish": found["unpublished"],
            "Desired": {key: assignment[key] for key in ("revision", "generation", "digest")},
            "Config": assignment["state"],
            "Reason": assignment["reason"],
            "Running": found["running"],
            "Last attempt": found["last_attempt"],
            "Health": found["health"].get("status"),
            "Facts": found["facts"],
        }
    )


def _conditions(found: dict[str, Any]) -> Table:
    columns = [(name, name) for name in ("type", "status", "reason", "message")]
    return table(found["health"].get("conditions", ()), columns, title="Conditions")


def _attempts(attempts: list[dict[str, Any]]) -> Table:
    columns = (
        ("generation", "generation"),
        ("outcome", "outcome"),
        ("phase", "phase"),
        ("when", lambda row: moment(row["at"])),
        ("errors", lambda row: [error.get("detail", error.get("type")) for error in row["errors"]]),
    )
    return table(attempts, columns, title="Latest attempts")


@group.command()
def label(
    ctx: typer.Context,
    server: Name,
    labels: Annotated[list[str], typer.Argument(help="site=fra sets a label, site- removes it")],
) -> Answer:
    """Set or remove labels; in force from the next publish on."""
    return _entries(ctx, server, "labels", labels, "site=fra or site-")


@group.command()
def address(
    ctx: typer.Context,
    server: Name,
    addresses: Annotated[
        list[str], typer.Argument(help="internal=10.1.1.1 sets an address, internal- removes it")
    ],
) -> Answer:
    """Set or remove named addresses; in force from the next publish on."""
    return _entries(ctx, server, "addresses", addresses, "internal=10.1.1.1 or internal-")


@group.command()
def fqdn(
    ctx: typer.Context,
    server: Name,
    name: Annotated[str, typer.Argument(help="mx1.contoso.com; '' removes it")],
) -> Answer:
    """Set the name that the server says hello with; in force from the next publish on."""
    with connected(ctx) as client:
        return _edited(client.servers.change(server, fqdn=name).body)


def _entries(ctx: typer.Context, server: str, field: str, words: list[str], example: str) -> Answer:
    gone: dict[str, str | None] = {word[:-1]: None for word in words if word[-1:] == "-" and "=" not in word}
    entries = gone | named((word for word in words if word[:-1] not in gone), example)
    with connected(ctx) as client:
        return _edited(client.servers.change_entries(server, field, entries).body)


def _edited(found: Record) -> Answer:
    return Answer(
        found, _sheet(found), note="In force from the next publish on." if found["unpublished"] else ""
    )


def _act(ctx: typer.Context, server: str, verb: Verb, reason: str) -> Answer:
    with connected(ctx) as client:
        found = client.servers.act(server, verb, reason=reason)
    return Answer(found, _sheet(found))


@group.command()
def retry(ctx: typer.Context, server: Name, reason: Reason = "") -> Answer:
    """Offer what was rejected or rolled back once more, as a new generation."""
    return _act(ctx, server, "retry", reason)


@group.command()
def adopt(ctx: typer.Context, server: Name, reason: Reason = "") -> Answer:
    """Let a held server keep what it runs."""
    return _act(ctx, server, "adopt", reason)


@group.command()
def overwrite(ctx: typer.Context, server: Name, reason: Reason = "") -> Answer:
    """Give a held server what is published."""
    return _act(ctx, server, "overwrite", reason)


@group.command()
def retire(ctx: typer.Context, server: Name, reason: Reason = "") -> Answer:
    """The host is gone: its token ends, its name is free again."""
    return _act(ctx, server, "retire", reason)


@group.command()
def ban(ctx: typer.Context, server: Name, reason: Reason = "") -> Answer:
    """Refuse the host's key from now on."""
    return _act(ctx, server, "ban", reason)
