"""`gatepost range`: who may use a connector, one address, network or range at a time."""

from collections.abc import Mapping
from typing import Annotated

import typer

from gatepost.cli.answers import Answer, say
from gatepost.cli.connectors import NEXT, Connector, ranges_of
from gatepost.cli.settings import connected
from gatepost.cli.tables import ago, listing, pairs
from gatepost.cli.values import before, until
from gatepost.client import Record, Versioned
from gatepost.policy.model.addresses import parse_range

group = typer.Typer(name="range", help="Remote IP ranges of a connector: list, add, remove, replace.")
COLUMNS = (
    ("range", "range"),
    ("note", "note"),
    ("expires", lambda row: ago(row["expires_at"])),
    ("last used", lambda row: ago(row["last_hit"]) if row["last_hit"] else "not seen"),
)
Range = Annotated[
    str, typer.Argument(metavar="RANGE", help="192.168.5.10, 10.20.0.0/24 or 10.30.0.5-10.30.0.20")
]


@group.command("list", epilog='Example: gatepost range list "Anonymous Relay" --unused-for 90d')
def list_ranges(
    ctx: typer.Context,
    connector: Connector,
    unused_for: Annotated[str | None, typer.Option(help="Only those that took nobody for 90d, 12h")] = None,
) -> Answer:
    """The connector's ranges: what stands there, until when, and when each last took a client."""
    since = None if unused_for is None else before(unused_for)
    with connected(ctx) as client:
        rows = list(client.connectors.ranges(connector, unused_since=since))
    return listing(rows, COLUMNS, "No such ranges.")


@group.command(
    epilog='Example: gatepost range add "Anonymous Relay" 192.168.5.12 --note scanner --expires-in 7d'
)
def add(
    ctx: typer.Context,
    connector: Connector,
    range_: Range,
    *,
    note: Annotated[str | None, typer.Option(help="What stands there")] = None,
    no_note: Annotated[bool, typer.Option("--no-note", help="Clear the note of a listed range")] = False,
    expires_at: Annotated[str | None, typer.Option(help="2026-12-24T18:00:00Z")] = None,
    expires_in: Annotated[str | None, typer.Option(help="12h, 7d")] = None,
    no_expiry: Annotated[bool, typer.Option("--no-expiry", help="Clear the end of a listed range")] = False,
) -> Answer:
    """Let an address, network or range use the connector; in the draft.

    A range that is listed already keeps its note and its end, unless new ones are given or they are cleared.
    """
    given = {
        "note": _cleared(note, clear=no_note, name="note"),
        "expires_at": _cleared(until(expires_at, expires_in), clear=no_expiry, name="expiry"),
    }
    parse_range(range_)
    with connected(ctx) as client:
        known = client.connectors.listed_range(connector, range_)
        found = client.connectors.add_range(connector, range_, **given)
    if known is not None:
        say(_kept(range_, known, given))
    return _changed(found)


def _cleared(given: str | None, *, clear: bool, name: str) -> str | None:
    """What was given, or the empty text that clears."""
    if given is not None and clear:
        raise typer.BadParameter(f"--no-{name} clears what another option sets; give one of them")
    return "" if clear else given


def _kept(text: str, known: Record, given: Mapping[str, str | None]) -> str:
    """What stays of an entry that is listed already."""
    told = {"note": "its note", "expires_at": f"its end ({known.get('expires_at')})"}
    kept = [words for name, words in told.items() if known.get(name) and given[name] is None]
    verb = "is" if len(kept) == 1 else "are"
    return f"{text} was listed already" + (f"; {' and '.join(kept)} {verb} kept." if kept else ".")


@group.command()
def remove(ctx: typer.Context, connector: Connector, range_: Range) -> Answer:
    """Take a range off the connector; in the draft."""
    parse_range(range_)
    with connected(ctx) as client:
        return _changed(client.connectors.remove_range(connector, range_))


@group.command()
def replace(
    ctx: typer.Context, connector: Connector, ranges: Annotated[list[str], typer.Argument(metavar="RANGE…")]
) -> Answer:
    """Make these the connector's only ranges; in the draft."""
    for text in ranges:
        parse_range(text)
    with connected(ctx) as client:
        return _changed(client.connectors.replace_ranges(connector, ranges))


def _changed(found: Versioned) -> Answer:
    listing = {"RemoteIPRanges": "{" + ", ".join(ranges_of(found.body)) + "}"}
    return Answer(found.body, pairs(listing), note=NEXT)
