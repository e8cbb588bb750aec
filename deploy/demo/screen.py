"""What the demo shows: sections, transcripts beside their explanation, listings; colours on a terminal only."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy.demo.telnet import Line
from gatepost.printable import printable

PIPE_WIDTH = 164  # what the command's own tables need
COUNTED = ("sessions", "accepted", "delivered", "bounced")
SIDE_BY_SIDE = 110  # columns that two panels need


class Screen:
    """Prints the demo's story; text is never read as markup."""

    def __init__(self) -> None:
        self.console = Console(markup=False, highlight=False, emoji=False)
        if not self.console.is_terminal:
            self.console = Console(markup=False, highlight=False, emoji=False, width=PIPE_WIDTH)
        self._sections = 0

    def section(self, title: str) -> None:
        self._sections += 1
        self.console.print()
        self.console.rule(Text(f" {self._sections}. {title} ", "bold cyan"), align="left", style="cyan")

    def say(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)  # what is to be copied stays on one line

    def good(self, text: str) -> None:
        self.console.print(Text.assemble(("✓ ", "bold green"), text))

    def bad(self, text: str) -> None:
        self.console.print(Text.assemble(("✗ ", "bold red"), text))

    def command(self, text: str, output: str = "") -> None:
        """A command as somebody would type it, and what it printed."""
        self.console.print(Text("$ ", "bold") + Text(text, "bold"))
        if output.strip():
            self.console.print(Padding(Text(output.rstrip("\n")), (0, 0, 0, 2)))

    def beside(self, left: RenderableType, right: RenderableType) -> None:
        """Two things side by side, or one above the other on a narrow terminal."""
        if self.console.width < SIDE_BY_SIDE:
            self.console.print(left)
            self.console.print(right)
            return
        grid = Table.grid(expand=True, padding=(0, 1, 0, 0))
        grid.add_column(ratio=11)
        grid.add_column(ratio=9)
        grid.add_row(left, right)
        self.console.print(grid)

    def show(self, thing: RenderableType) -> None:
        self.console.print(thing)


def transcript(title: str, lines: Iterable[Line]) -> Panel:
    """A session as it was typed."""
    rows = [_line(line) for line in lines]
    return Panel(Group(*rows), title=title, title_align="left", border_style="dim")


def _line(line: Line) -> Text:
    if line.typed:
        return Text(printable(line.text), "bold")
    refused = line.text[:1] in ("4", "5")
    return Text(printable(line.text), "red" if refused else "green" if line.text[:1] == "2" else "")


def trace(found: Mapping[str, Any]) -> Panel:
    """What explain says of the same client: the trace of the decision, as the agent logs it."""
    rows = Table.grid(padding=(0, 1, 0, 0))
    deciding = [step for step in found["steps"] if step["right"]][-1:] or [{}]
    for name, value in (
        ("verdict", found["verdict"]),
        ("reply", found["reply"]),
        ("connector", found["connector"]),
        ("range", found["range"]),
        ("principal", found["principal"]),
        ("right", deciding[0].get("right", "")),
        ("from", deciding[0].get("source", "")),
        ("reason", found["reason"]),
    ):
        if value:
            rows.add_row(Text(name, "dim"), Text(printable(str(value))))
    title = f"explain: {found['remote']} on {found['server']}"
    return Panel(rows, title=title, title_align="left", border_style="dim")


def counts(found: Mapping[str, Any]) -> Table:
    """Messages per server and connector."""
    rows = Table(box=SIMPLE_HEAD)
    for column in ("server", "connector"):
        rows.add_column(column)
    for event in (*COUNTED, "refused"):
        rows.add_column(event, justify="right")
    for server in sorted(found["servers"], key=lambda server: str(server["server"])):
        for connector, events in sorted(server["connectors"].items()):
            refused = sum(total for event, total in events.items() if event.startswith("refused"))
            shown = [str(total) for total in (*(events.get(event, 0) for event in COUNTED), refused)]
            rows.add_row(server["server"], connector or "(none)", *shown)
    return rows


def message(title: str, content: str) -> Panel:
    """A message as the smart host got it."""
    shown = "\n".join(printable(line) for line in content.splitlines())
    return Panel(Text(shown), title=title, title_align="left", border_style="dim")
