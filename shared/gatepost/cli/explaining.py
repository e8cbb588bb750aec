"""`gatepost explain`: what happens to a client on a server, and why."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from gatepost.cli.answers import Answer
from gatepost.cli.settings import connected
from gatepost.cli.tables import pairs, table
from gatepost.cli.values import moment
from gatepost.policy.analysis.circumstances import Circumstance
from gatepost.printable import printable

RIGHTS = (("right", "right"), ("source", "source"), ("deny", "deny"), ("effect", "effect"))


def explain(
    ctx: typer.Context,
    *,
    server: Annotated[str, typer.Option(help="The server's name")],
    remote: Annotated[str, typer.Option(help="The client's address")],
    mail_from: Annotated[str | None, typer.Option(help="The sender; '' is the null sender")] = None,
    rcpt_to: Annotated[list[str] | None, typer.Option(help="A recipient; may be repeated")] = None,
    local: Annotated[str | None, typer.Option(help="The binding it came to: 0.0.0.0:25")] = None,
    line: Annotated[
        list[str] | None, typer.Option(help="A raw command line instead; may be repeated")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="After STARTTLS")] = False,
    user: Annotated[str | None, typer.Option(help="Logged in as this relay user")] = None,
    at: Annotated[str | None, typer.Option(help="At this time: 2026-12-24T18:00:00Z")] = None,
    when: Annotated[
        Circumstance | None, typer.Option(help="What else goes on at the host, beyond what the client says")
    ] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Under the draft, not what is published")] = False,
) -> Answer:
    """Ask what a client would be answered: connector, matching range, right, and the whole dialogue."""
    if not line and mail_from is None and not rcpt_to:
        raise typer.BadParameter("give --mail-from and --rcpt-to, or --line")
    question = {
        "mail_from": mail_from,
        "rcpt_to": rcpt_to,
        "lines": line,
        "local": local,
        "tls": tls or None,
        "user": user,
        "at": moment(at) if at else None,
        "when": when,
        "of": "draft" if draft else None,
    }
    with connected(ctx) as client:
        found = client.explain(server, remote, **question)
    warnings = "\n".join(f"warning: {printable(caveat)}" for caveat in found.get("caveats", ()))
    return Answer(found, Group(*_shown(found)), note=warnings)


def _shown(found: dict[str, Any]) -> Iterator[Any]:
    yield Text("\n".join(dialogue(found.get("steps", ()))))
    yield pairs(
        {
            "Verdict": found["verdict"],
            "Reply": found["reply"],
            "Reason": found["reason"],
            "Connector": found.get("connector"),
            "Range": found.get("range"),
            "Principal": found.get("principal"),
        }
    )
    if found.get("rights"):
        yield table(found["rights"], RIGHTS, title="Rights that it holds or is denied")


def dialogue(steps: Any) -> Iterator[str]:
    """The exchanges as a transcript, with the tarpit's delays."""
    for step in steps:
        if step["line"]:
            yield f"> {printable(step['line'])}"
        for number, text in enumerate(str(step["reply"]).splitlines()):
            delay = f"   (after {step['delay_s']:g} s)" if step["delay_s"] and number == 0 else ""
            yield f"< {printable(text)}{delay}"


COMMANDS = {"explain": explain}
