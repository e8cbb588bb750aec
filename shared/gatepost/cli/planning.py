"""`gatepost plan` and `export`: what a document would change, before it does."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gatepost.cli import reports
from gatepost.cli.answers import Answer
from gatepost.cli.errors import UsageRefused
from gatepost.cli.exits import Exit
from gatepost.cli.reading import content_of, read_document
from gatepost.cli.settings import connected

EXAMPLE = "Example: gatepost plan -f fleet.yaml --detailed-exitcode --junit tests.xml"


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
        found = client.plan(document)
    if junit is not None:
        write(junit, reports.junit(found))
    code = verdict(found)
    if code is Exit.DONE and detailed_exitcode and (found["changes"] or found["touched"]):
        code = Exit.CHANGES
    return Answer(found, reports.markdown(found) if markdown else reports.text(found), exit=code)


def verdict(found: dict[str, Any], acknowledged: tuple[str, ...] = ()) -> Exit:
    """Whether a publish would be taken; findings that are acknowledged, and may be, do not hold it up."""
    if reports.tests(found, passed=False):
        return Exit.INVALID
    holding = [f for f in found["holding"] if not (f["acknowledgeable"] and f["id"] in acknowledged)]
    return Exit.REFUSED if holding else Exit.DONE


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
