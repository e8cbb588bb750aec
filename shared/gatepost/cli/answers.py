"""What a command found, and how it is put on stdout and stderr."""

import json
import sys
from typing import Any, NamedTuple

from rich.console import Console, RenderableType
from rich.text import Text

from gatepost.cli.exits import Exit

PIPE_WIDTH = 160  # columns of a table that nobody's terminal limits


class Answer(NamedTuple):
    """A command's result.

    data: what `--output json` prints. shown: what people read on stdout; a str is printed as it is, alone.
    note: a remark on stderr, for people, whatever the output.
    """

    data: Any
    shown: RenderableType | None = None
    note: str = ""
    exit: Exit = Exit.DONE


def console(*, stderr: bool = False) -> Console:
    """A console that takes text as text: no markup, no highlighting, no emoji."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def print_json(data: object) -> None:
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n")


def present(answer: Answer, *, as_json: bool) -> None:
    """Print an answer; its exit code is the caller's."""
    if as_json:
        print_json(answer.data)
    elif isinstance(answer.shown, str):
        sys.stdout.write(answer.shown.removesuffix("\n") + "\n")
    elif answer.shown is not None:
        console().print(
            answer.shown, soft_wrap=isinstance(answer.shown, Text)
        )  # text may be longer than a line
    if answer.note:
        say(answer.note)


def say(text: str) -> None:
    """A remark for people, on stderr."""
    console(stderr=True).print(text, soft_wrap=True)
