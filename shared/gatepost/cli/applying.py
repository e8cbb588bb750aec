"""`gatepost apply`, `rollback`, `wait` and `verify`: from a document to servers that run it."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from gatepost.cli.answers import Answer, say
from gatepost.cli.errors import PlanRefused, UsageRefused
from gatepost.cli.exits import Exit
from gatepost.cli.planning import held_by
from gatepost.cli.reading import content_of, read_document
from gatepost.cli.settings import Settings, connected
from gatepost.cli.standing import drift, short
from gatepost.cli.tables import table
from gatepost.cli.values import duration_s, moment
from gatepost.cli.waiting import Patience, Waited, shown, summary, wait
from gatepost.client import ApiProblem, Client, Record, Versioned
from gatepost.printable import printable

File = Annotated[Path, typer.Option("--file", "-f", help="The fleet document, YAML or JSON; - is stdin")]
Message = Annotated[str, typer.Option("--message", "-m", help="What this change is for")]
Acknowledge = Annotated[list[str] | None, typer.Option(help="The id of a finding; may be repeated")]
Reason = Annotated[str | None, typer.Option(help="Why the findings are acknowledged")]
Until = Annotated[str | None, typer.Option(help="When the acknowledgement ends: 2026-12-24T18:00:00Z")]
Wait = Annotated[bool, typer.Option("--wait", help="Until every server runs it")]
Timeout = Annotated[str, typer.Option(help="How long --wait may take: 90s, 10m")]
AllowUnreachable = Annotated[int, typer.Option(min=0, help="How many servers may be not heard of")]
RefuseUnpublished = Annotated[
    bool, typer.Option("--refuse-unpublished", help="Exit 12 when unpublished changes would be lost")
]


def apply(
    ctx: typer.Context,
    *,
    file: File,
    message: Message = "",
    refuse_unpublished: RefuseUnpublished = False,
    acknowledge: Acknowledge = None,
    reason: Reason = None,
    until: Until = None,
    wait_: Wait = False,
    timeout: Timeout = "5m",
    allow_unreachable: AllowUnreachable = 0,
) -> Answer:
    """Make a document the draft and publish it.

    What would be refused changes nothing. Whoever changes the draft in the same moment makes this end with exit 12.
    Unpublished changes of the draft that the document does not hold are lost, and named.
    """
    acknowledged = _acknowledgements(acknowledge, reason, until)
    patience = Patience(duration_s(timeout), allow_unreachable)
    document = content_of(read_document(file))
    with connected(ctx) as client:
        planned = client.plan(document)
        if holding := held_by(planned.body, acknowledge or []):
            raise PlanRefused(holding)
        saved = _replaced(client, document, planned.etag, refuse_unpublished=refuse_unpublished)
        revision = client.revisions.publish(saved.etag, message=message, acknowledgements=acknowledged)
        return _published(ctx, client, revision, saved.body.get("changes"), patience if wait_ else None)


def _replaced(client: Client, document: Record, etag: str, *, refuse_unpublished: bool) -> Versioned:
    """Make the document the draft, and say which unpublished changes that took away."""
    lost = printable(", ".join(client.draft.lost_to(document)))
    if lost and refuse_unpublished:
        raise ApiProblem(
            409,
            "unpublished-changes",
            "The draft holds unpublished changes",
            f"Applying this would lose {lost}. Publish them first, or leave --refuse-unpublished out.",
        )
    saved = client.draft.replace(document, etag=etag)
    if lost:
        say(f"The draft held unpublished changes that are gone: {lost}.")
    return saved


def publish(
    ctx: typer.Context,
    *,
    message: Message = "",
    acknowledge: Acknowledge = None,
    reason: Reason = None,
    until: Until = None,
    wait_: Wait = False,
    timeout: Timeout = "5m",
    allow_unreachable: AllowUnreachable = 0,
) -> Answer:
    """Publish the draft as it is, after `range add` and the like."""
    acknowledged = _acknowledgements(acknowledge, reason, until)
    patience = Patience(duration_s(timeout), allow_unreachable)
    with connected(ctx) as client:
        etag = client.draft.etag()
        revision = client.revisions.publish(etag, message=message, acknowledgements=acknowledged)
        return _published(ctx, client, revision, None, patience if wait_ else None)


def _acknowledgements(ids: list[str] | None, reason: str | None, until: str | None) -> list[Record]:
    if ids and not reason:
        raise UsageRefused("--acknowledge needs --reason: who reads the audit trail wants to know why.")
    if not ids and (reason or until):
        raise UsageRefused("--reason and --until belong to --acknowledge ID.")
    ends = {"until": moment(until)} if until else {}
    return [{"id": each, "reason": reason, **ends} for each in ids or ()]


def rollback(
    ctx: typer.Context,
    revision: Annotated[int, typer.Argument(min=1, help="The number of the revision to go back to")],
    *,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail")] = "",
    acknowledge: Acknowledge = None,
    until: Until = None,
    wait_: Wait = False,
    timeout: Timeout = "5m",
    allow_unreachable: AllowUnreachable = 0,
) -> Answer:
    """Publish an older revision again, as a new one, and make it the draft."""
    acknowledged = _acknowledgements(acknowledge, reason or None, until) if acknowledge or until else []
    patience = Patience(duration_s(timeout), allow_unreachable)
    with connected(ctx) as client:
        etag = client.draft.etag()
        published = client.revisions.rollback(revision, etag, reason=reason, acknowledgements=acknowledged)
        return _published(ctx, client, published, None, patience if wait_ else None)


def _published(
    ctx: typer.Context, client: Client, revision: Record, changes: Any, patience: Patience | None
) -> Answer:
    data: dict[str, Any] = {"revision": revision}
    if changes is not None:
        data["changes"] = changes
    told = f"Revision {revision['number']} ({short(revision['digest'])}) is published."
    if patience is None:
        return Answer(data, note=told)
    say(told)
    return _waited(_wait(ctx, client, int(revision["number"]), patience), data)


def _wait(ctx: typer.Context, client: Client, revision: int, patience: Patience) -> Waited:
    settings: Settings = ctx.obj
    with shown(quiet=settings.as_json) as show:
        return wait(client, revision, patience, show)


def _waited(waited: Waited, data: dict[str, Any]) -> Answer:
    data["wait"] = waited.as_data()
    words = {
        Exit.DONE: "",
        Exit.ROLLED_BACK: "Failed: ",
        Exit.STALE: "A newer revision took its place: ",
        Exit.TIMED_OUT: "Timed out: ",
        Exit.SERVERS_UNREACHABLE: "Servers are not heard of: ",
    }
    return Answer(data, note=words[waited.exit] + summary(waited.rollout) + ".", exit=waited.exit)


def wait_command(
    ctx: typer.Context,
    revision: Annotated[int | None, typer.Argument(min=1, help="The latest without it")] = None,
    *,
    timeout: Timeout = "5m",
    allow_unreachable: AllowUnreachable = 0,
) -> Answer:
    """Wait until every server runs a revision."""
    patience = Patience(duration_s(timeout), allow_unreachable)
    with connected(ctx) as client:
        number = revision or next((int(latest["number"]) for latest in client.revisions.list(1)), None)
        if number is None:
            return Answer({"wait": None}, note="Nothing was published yet.")
        return _waited(_wait(ctx, client, number, patience), {})


def verify(ctx: typer.Context, *, allow_unreachable: AllowUnreachable = 0) -> Answer:
    """Compare what each server should run with what it runs and how its last attempt ended; exit 2 on drift."""
    with connected(ctx) as client:
        rows = [_verified(server) for server in client.servers.list(state="active")]
    drifting = [row["server"] for row in rows if row["drift"]]
    missing = [row["server"] for row in rows if not row["online"]]
    code = Exit.CHANGES if drifting else Exit.DONE
    if not drifting and len(missing) > allow_unreachable:
        code = Exit.SERVERS_UNREACHABLE
    note = f"{len(rows) - len(drifting)} of {len(rows)} servers run what is published."
    if missing:
        note += f" Not heard of: {', '.join(missing)}."
    return Answer({"drift": drifting, "unreachable": missing, "servers": rows}, _sheet(rows), note, code)


def _verified(server: Any) -> dict[str, Any]:
    assignment, running = server["assignment"], server.get("running") or {}
    attempt = server.get("last_attempt") or {}
    return {
        "server": server["name"],
        "online": server["online"],
        "desired": {key: assignment[key] for key in ("generation", "revision", "digest", "state")},
        "running": {key: running.get(key) for key in ("generation", "revision", "digest", "settled")},
        "last_attempt": {key: attempt.get(key) for key in ("generation", "outcome", "phase")},
        "drift": drift(server),
    }


def _sheet(rows: list[dict[str, Any]]) -> Table:
    columns = (
        ("server", "server"),
        ("online", "online"),
        ("desired", lambda row: f"{row['desired']['generation']} {short(row['desired']['digest'])}"),
        ("running", lambda row: f"{row['running']['generation'] or '-'} {short(row['running']['digest'])}"),
        (
            "last attempt",
            lambda row: f"{row['last_attempt']['generation'] or '-'} {row['last_attempt']['outcome'] or ''}",
        ),
        ("drift", lambda row: "; ".join(row["drift"]) or "none"),
    )
    return table(rows, columns)


COMMANDS = {"apply": apply, "publish": publish, "rollback": rollback, "wait": wait_command, "verify": verify}
