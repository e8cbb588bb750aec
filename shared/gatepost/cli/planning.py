"""`gatepost plan` and `export`: what a document would change, before it does."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from gatepost.cli import reports
from gatepost.cli.answers import Answer
from gatepost.cli.errors import PlanRefused, UsageRefused
from gatepost.cli.exits import Exit, exit_of
from gatepost.cli.reading import content_of, read_document
from gatepost.cli.settings import connected
from gatepost.client import Record


def plan(
    ctx: typer.Context,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="The fleet document; - is stdin; the draft without it")
    ] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when there are changes")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, for a review")] = False,
    junit: Annotated[Path | None, typer.Option(help="Write the document's tests there as JUnit XML")] = None,
) -> Answer:
    """What publishing would change: removals and widenings first, then exposure, findings, tests, servers.

    Exit 10 when a test of the document fails, 11 when findings hold a publish up.
    """
    document = None if file is None else content_of(read_document(file))
    with connected(ctx) as client:
        planned = client.plan(document)
        content = client.draft.get().body if document is None else document
    found = planned.body | {"base": planned.etag}
    idle = reports.not_run(found, content)
    if junit is not None:
        write(junit, reports.junit(found, idle))
    code = verdict(found)
    if code is Exit.DONE and detailed_exitcode and (found["changes"] or found["touched"]):
        code = Exit.CHANGES
    told = reports.markdown(found, idle) if markdown else reports.text(found, idle)
    return Answer(found, told, exit=code)


def verdict(found: Record, acknowledged: Collection[str] = ()) -> Exit:
    """Whether a publish would be taken; findings that are acknowledged, and may be, do not hold it up."""
    holding = held_by(found, acknowledged)
    return exit_of(PlanRefused(holding)) if holding else Exit.DONE


def held_by(found: Record, acknowledged: Collection[str] = ()) -> list[Record]:
    """The findings that would hold the publish up."""
    return [f for f in found["holding"] if not (f["acknowledgeable"] and f["id"] in acknowledged)]


def export(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Write it there instead of stdout")
    ] = None,
) -> Answer:
    """The draft as a document that `apply -f` takes."""
    with connected(ctx) as client:
        text = client.draft.yaml()
        document = client.draft.get().body
    if file is None:
        return Answer(document, text)
    write(file, text)
    return Answer(document, note=f"Wrote {file}.")


def write(file: Path, text: str) -> None:
    """Write a report or a document. Raises UsageRefused."""
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise UsageRefused(f"{file} cannot be written: {error}") from error


COMMANDS = {"plan": plan, "export": export}
