"""`gatepost audit`: who changed what, from where, and why."""

import json
from typing import Annotated

import typer

from gatepost.cli.answers import Answer
from gatepost.cli.settings import connected
from gatepost.cli.tables import listing, moment
from gatepost.cli.values import moment as parsed_moment

COLUMNS = (
    ("when", lambda row: moment(row["at"])),
    ("who", "actor"),
    ("from", "remote"),
    ("action", "action"),
    ("what", lambda row: f"{row['object_kind']} {row['object_name']}"),
    ("reason", "reason"),
    ("request", "request_id"),
)


def audit(
    ctx: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first")] = 50,
    actor: Annotated[str | None, typer.Option(help="The token's name")] = None,
    action: Annotated[str | None, typer.Option(help="publish, block, edit, …")] = None,
    kind: Annotated[str | None, typer.Option(help="connector, server, revision, …")] = None,
    name: Annotated[str | None, typer.Option(help="The name of what was changed")] = None,
    since: Annotated[str | None, typer.Option(help="At or after this time")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time")] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Export every matching event, one JSON object a line")
    ] = False,
) -> Answer:
    """Changes, newest first: who, from where, what, and why."""
    filters = {
        "actor": actor,
        "action": action,
        "object_kind": kind,
        "object_name": name,
        "since": parsed_moment(since) if since else None,
        "until": parsed_moment(until) if until else None,
    }
    with connected(ctx) as client:
        if jsonl:
            lines = client.audit_lines(**filters)
            return Answer([json.loads(line) for line in lines.splitlines()], lines)
        rows = list(client.audit_events(most=limit, **filters))
    return listing(rows, COLUMNS, "No such changes.")


COMMANDS = {"audit": audit}
