"""`gatepost counts` and `gatepost devices`: what passed the doors, and who came."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any

import typer
from rich.table import Table

from gatepost.cli.answers import Answer
from gatepost.cli.settings import connected
from gatepost.cli.tables import ago, listing, table
from gatepost.cli.values import before

Server = Annotated[str | None, typer.Option(help="Only this server")]
Connector = Annotated[str | None, typer.Option(help="Only this connector")]
FIRST = ("accepted", "delivered", "bounced", "refused")
REFUSED = "refused "  # before the reply
DEVICES = (
    ("address", "address"),
    ("server", "server"),
    ("connector", "connector"),
    ("range", "range"),
    ("accepted", "accepted"),
    ("refused", "refused"),
    ("first seen", lambda row: ago(row["first_seen"])),
    ("last seen", lambda row: ago(row["last_seen"])),
    ("helo", "helo"),
    ("tls", "tls"),
    ("tolerated", "tolerances"),
)


def counts(ctx: typer.Context, *, server: Server = None, connector: Connector = None) -> Answer:
    """Messages accepted, delivered, bounced and refused, by server and connector, since each enrolment."""
    with connected(ctx) as client:
        found = client.counts(server=server, connector=connector)
    return Answer(found, _shown(found))


def _shown(found: dict[str, Any]) -> Table:
    rows = [*_rows(found["servers"])]
    if len(rows) > 1:
        rows.append({"server": "all", "connector": "all", "events": found["totals"]})
    others = {event for row in rows for event in row["events"] if not event.startswith(REFUSED)}
    events = [*FIRST, *sorted(others - set(FIRST))]
    columns = [(event, partial(_number, event)) for event in events]
    return table(
        rows, [("server", "server"), ("connector", "connector"), *columns, ("refused with", _refusals)]
    )


def _number(event: str, row: Mapping[str, Any]) -> int:
    """How often, over all of its replies: refusals are counted as `refused 550 5.7.1 Unable to relay`."""
    return sum(count for name, count in row["events"].items() if f"{name} ".startswith(f"{event} "))


def _refusals(row: Mapping[str, Any]) -> dict[str, int]:
    return {
        name.removeprefix(REFUSED): count
        for name, count in sorted(row["events"].items())
        if name.startswith(REFUSED)
    }


def _rows(servers: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in servers:
        for connector, events in sorted(one["connectors"].items()):
            yield {"server": one["server"], "connector": connector or "(none)", "events": events}


def devices(
    ctx: typer.Context,
    *,
    server: Server = None,
    connector: Connector = None,
    address: Annotated[str | None, typer.Option(help="Only this client")] = None,
    range_: Annotated[
        str | None, typer.Option("--range", help="Only those that this range, as it is listed, let in last")
    ] = None,
    unseen_for: Annotated[str | None, typer.Option(help="Only those not seen for 30d, 12h")] = None,
) -> Answer:
    """The client addresses that servers saw: what each was let do, and how it behaved."""
    with connected(ctx) as client:
        rows = list(
            client.devices(
                server=server,
                connector=connector,
                address=address,
                range=range_,
                last_seen__lt=None if unseen_for is None else before(unseen_for),
            )
        )
    return listing(rows, DEVICES, "No devices seen.")


COMMANDS = {"counts": counts, "devices": devices}
