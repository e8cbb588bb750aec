"""`gatepost connectors` and `anonymous-relay`: the article's first listing, and its second step."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from gatepost.cli.answers import Answer
from gatepost.cli.settings import connected
from gatepost.cli.tables import listing, pairs, words
from gatepost.client.pieces import range_of

group = typer.Typer(name="connectors", help="Receive connectors: list, show, default.")
Connector = Annotated[str, typer.Argument(metavar="CONNECTOR", help="The connector's name")]
NEXT = "In the draft; `gatepost publish` brings it to the servers."


class Method(StrEnum):
    """The article's two ways to let hosts relay; one or the other, never both."""

    anonymous = "anonymous"
    externally_secured = "externally_secured"


def ranges_of(row: Any) -> list[str]:
    """Remote IP ranges as people read them: with their note and end."""
    return [_told(entry) for entry in row.get("remote_ip_ranges", ())]


def _told(entry: Any) -> str:
    extra = [] if isinstance(entry, str) else [entry.get("note"), _until(entry.get("expires_at"))]
    told = ", ".join(part for part in extra if part)
    return range_of(entry) + (f" ({told})" if told else "")


def _until(text: str | None) -> str:
    return f"until {text}" if text else ""


COLUMNS = (
    ("connector", "name"),
    ("enabled", lambda row: row.get("enabled", True)),
    ("servers", lambda row: row.get("servers", ["*"])),
    ("bindings", "bindings"),
    ("remote IP ranges", ranges_of),
    ("groups", "permission_groups"),
)


@group.callback(invoke_without_command=True)
def connectors(ctx: typer.Context) -> Answer | None:
    """List Receive connectors of the draft; `show NAME` shows one."""
    return _listed(ctx) if ctx.invoked_subcommand is None else None


@group.command("list")
def list_connectors(ctx: typer.Context) -> Answer:
    """Receive connectors of the draft."""
    return _listed(ctx)


def _listed(ctx: typer.Context) -> Answer:
    with connected(ctx) as client:
        rows = list(client.connectors.list())
    return listing(rows, COLUMNS, "No connectors.")


@group.command(epilog='Example: gatepost connectors show "Anonymous Relay"')
def show(
    ctx: typer.Context,
    connector: Connector,
    everything: Annotated[bool, typer.Option("--all", help="Every setting that was given")] = False,
) -> Answer:
    """Enabled, TransportRole, Bindings and RemoteIPRanges, as Get-ReceiveConnector lists them."""
    with connected(ctx) as client:
        found = client.connectors.get(connector).body
    listing = {
        "Enabled": found.get("enabled", True),
        "TransportRole": found.get("transport_role", "FrontendTransport"),
        "Bindings": "{" + words(found.get("bindings")) + "}",
        "RemoteIPRanges": "{" + words(ranges_of(found)) + "}",
    }
    return Answer(found, pairs(found | {"remote_ip_ranges": ranges_of(found)} if everything else listing))


@group.command(epilog="Example: gatepost connectors default mx1")
def default(
    ctx: typer.Context,
    server: Annotated[str, typer.Argument(metavar="SERVER", help="The server's name")],
    *,
    binding: Annotated[
        list[str] | None,
        typer.Option(help="Where it listens, 0.0.0.0:25 and [::]:25 without any; may be repeated"),
    ] = None,
) -> Answer:
    """Make a safe default connector: from everybody to accepted domains only, and nobody relays; in the draft."""
    with connected(ctx) as client:
        made = client.servers.make_default_connector(server, bindings=binding or ())
    return Answer(made, note=f"{made['name']} takes mail for accepted domains on {server}. {NEXT}")


def anonymous_relay(
    ctx: typer.Context,
    connector: Connector,
    method: Annotated[Method, typer.Option(help="anonymous grants the least")] = Method.anonymous,
) -> Answer:
    """Let the connector's hosts relay, by one of the article's two methods; in the draft."""
    with connected(ctx) as client:
        found = client.connectors.anonymous_relay(connector, method.value)
    return Answer(found, note=f"{connector} is set up for anonymous relay ({method.value}). {NEXT}")


COMMANDS = {"anonymous-relay": anonymous_relay}
