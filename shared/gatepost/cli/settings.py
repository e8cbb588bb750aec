"""Where the control plane is and who asks: the options that every command takes, before or after its name."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import typer

from gatepost.cli.errors import UsageRefused
from gatepost.client import Client


class Output(StrEnum):
    """For people or for programs."""

    table = "table"
    json = "json"


class Settings(NamedTuple):
    """Options and environment, as they were given."""

    url: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    output: Output = Output.table

    @property
    def as_json(self) -> bool:
        return self.output is Output.json


SHARED = ("--output", "-o", "--url", "--token-file", "--ca-file")


def hoisted(words: Sequence[str]) -> list[str]:
    """The command line with the shared options in front, wherever they stood; what follows `--` stays."""
    front: list[str] = []
    rest: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, _ = word.partition("=")
        if name in SHARED:
            front += [word] if equals else [word, *islice(left, 1)]
        else:
            rest += [word, *left] if word == "--" else [word]
    return front + rest


def wants_json(words: Sequence[str]) -> bool:
    """Whether a hoisted command line asks for JSON; known even when the rest of it is nonsense."""
    asked = False
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in ("--output", "-o"):
            asked = following == Output.json
        elif word.startswith("--output="):
            asked = word.endswith("=json")
    return asked


@contextmanager
def connected(ctx: typer.Context) -> Iterator[Client]:
    """The client of this call's settings. Raises UsageRefused when they do not name a control plane and a token."""
    settings: Settings = ctx.obj
    if not settings.url:
        raise UsageRefused("No control plane is named. Set GATEPOST_URL, or give --url https://…")
    with Client(settings.url, _token(settings), settings.ca_file) as client:
        yield client


def _token(settings: Settings) -> str:
    if settings.token_file is None and (token := os.environ.get("GATEPOST_TOKEN")):
        return token.strip()
    if settings.token_file is None:
        raise UsageRefused(
            "There is no token. Set GATEPOST_TOKEN, or give --token-file FILE (- reads stdin)."
        )
    try:
        text = sys.stdin.read() if str(settings.token_file) == "-" else settings.token_file.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageRefused(f"The token file {settings.token_file} cannot be read: {error}") from error
    return text.strip()
