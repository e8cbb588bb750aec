"""`gatepost probe`: ask a relay as a device would, and see every line of it."""

import re
from typing import Annotated

import typer

from gatepost.cli.answers import Answer
from gatepost.cli.exits import Exit
from gatepost.cli.settings import Settings
from gatepost.probe import DEFAULT_TIMEOUT_S, Said, Verdict, Wanted, probe

_HOST = re.compile(r"[^:\[\]]+|\[[0-9A-Fa-f:.]+\]")
_MARKS = {"client": "> ", "server": "< ", "note": "* "}


def probe_command(
    ctx: typer.Context,
    target: Annotated[str, typer.Argument(metavar="HOST:PORT", help="mx1:25, 10.1.1.1:25 or [::1]:25")],
    *,
    mail_from: Annotated[str, typer.Option(help="The sender; '' is the null sender")],
    rcpt_to: Annotated[list[str], typer.Option(help="A recipient; may be repeated")],
    source: Annotated[str | None, typer.Option(help="The address of this host to come from")] = None,
    helo: Annotated[str, typer.Option(help="The name to say hello with")] = "probe.invalid",
    starttls: Annotated[
        bool, typer.Option("--starttls", help="Encrypt first; the certificate is not checked")
    ] = False,
    send: Annotated[
        bool, typer.Option("--send", help="Send a test message too; without it no DATA is sent")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for a reply")] = DEFAULT_TIMEOUT_S,
) -> Answer:
    """Talk to a relay as one would by telnet; exit 0 when the recipient is accepted, 1 when not."""
    host, port = _endpoint(target)
    wanted = Wanted(
        host=host,
        port=port,
        mail_from=mail_from,
        rcpt_to=tuple(rcpt_to),
        source=source,
        helo=helo,
        starttls=starttls,
        send=send,
        timeout_s=timeout,
    )
    settings: Settings = ctx.obj
    verdict = probe(wanted) if settings.as_json else probe(wanted, _print)
    return _answer(wanted, verdict)


def _answer(wanted: Wanted, verdict: Verdict) -> Answer:
    data = {
        "outcome": verdict.outcome,
        "stage": verdict.stage,
        "reply": verdict.reply,
        "transcript": [line._asdict() for line in verdict.transcript],
    }
    note = f"{verdict.outcome} at {verdict.stage}: {verdict.reply}"
    return Answer(data, note=note, exit=Exit.DONE if verdict.accepted else Exit.UNEXPECTED)


def _print(line: Said) -> None:
    print(_MARKS[line.who] + line.text, flush=True)


def _endpoint(target: str) -> tuple[str, int]:
    """Host and port of `mx1:25` or `[::1]:25`; the port may be left out."""
    host, colon, port = target.rpartition(":")
    if not colon or target.endswith("]"):
        host, port = target, "25"
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536) or not _HOST.fullmatch(host):
        raise typer.BadParameter(f"{target!r}: write it as mx1:25, 10.1.1.1:25 or [::1]:25")
    return host.strip("[]"), int(port)


COMMANDS = {"probe": probe_command}
