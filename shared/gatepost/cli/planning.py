"""`gatepost plan` and `export`: what a document would change, before it does."""

from pathlib import Path
from typing import Annotated

import typer

from gatepost.cli.answers import Answer
from gatepost.cli.errors import UsageRefused
from gatepost.cli.settings import connected


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


COMMANDS = {"export": export}
