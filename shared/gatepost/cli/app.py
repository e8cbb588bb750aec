"""The command, put together: its options, its commands, and the one way out of it."""

import io
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gatepost import __version__
from gatepost.cli import (
    applying,
    audit,
    blocking,
    connectors,
    counting,
    enrollment,
    explaining,
    permissions,
    planning,
    probing,
    ranges,
    relay_users,
    revisions,
    servers,
    tokens,
)
from gatepost.cli.answers import Answer, present
from gatepost.cli.errors import Interrupted
from gatepost.cli.exits import Exit
from gatepost.cli.failures import fail
from gatepost.cli.settings import Output, Settings, hoisted, wants_json

EPILOG = """Exit codes: 0 done; 1 unexpected, or refused by a probe; 2 changes or drift; 10 invalid;
11 refused by policy; 12 changed meanwhile; 13 not allowed; 14 failed on servers; 15 timed out;
16 servers unreachable; 17 control plane unreachable; 64 usage."""

RELAYS = "--mail-from chris@contoso.com --rcpt-to kate@fabrikam.com"
EXAMPLES = {
    "plan": "Example: gatepost plan -f fleet.yaml --detailed-exitcode --junit tests.xml",
    "apply": 'Example: gatepost apply -f fleet.yaml -m "printers of floor 3" --wait --timeout 10m',
    "publish": 'Example: gatepost publish -m "a scanner more" --wait',
    "rollback": 'Example: gatepost rollback 41 --reason "printers of floor 3 are refused" --wait',
    "verify": "Example: gatepost verify --allow-unreachable 1",
    "export": "Example: gatepost export -f fleet.yaml",
    "explain": f"Example: gatepost explain --server mx1 --remote 192.168.5.10 {RELAYS}",
    "permissions": r"""Example: gatepost permissions "Anonymous Relay" --user 'NT AUTHORITY\ANONYMOUS LOGON'""",
    "anonymous-relay": 'Example: gatepost anonymous-relay "Anonymous Relay" --method anonymous',
    "block": 'Example: gatepost block 192.168.5.66 --reason "sends what it should not"',
    "counts": 'Example: gatepost counts --connector "Anonymous Relay"',
    "probe": f"Example: gatepost probe mx1:25 {RELAYS} --source 192.168.5.10",
    "audit": "Example: gatepost audit --action publish --since 2026-12-01",
}

app = typer.Typer(
    name="gatepost",
    help="One door for device mail: plan, publish, explain and watch a fleet of relays.",
    epilog=EPILOG,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for group in (
    connectors.group,
    enrollment.group,
    permissions.group,
    ranges.group,
    relay_users.group,
    revisions.group,
    servers.group,
    tokens.group,
):
    app.add_typer(group)
app.add_typer(connectors.group, name="connector", hidden=True)
app.add_typer(relay_users.group, name="relay-user", hidden=True)
for module in (planning, applying, explaining, connectors, permissions, blocking, counting, probing, audit):
    for name, command in module.COMMANDS.items():
        app.command(name, epilog=EXAMPLES.get(name))(command)


def _version(asked: bool) -> None:
    if asked:
        print(f"gatepost {__version__}")
        raise typer.Exit


@app.callback()
def shared_options(
    ctx: typer.Context,
    *,
    url: Annotated[
        str | None, typer.Option(envvar="GATEPOST_URL", help="The control plane: https://…")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token, instead of GATEPOST_TOKEN; - is stdin")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(envvar="GATEPOST_CA_FILE", help="PEM of the control plane's CA")
    ] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for programs")
    ] = Output.table,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version")
    ] = False,
) -> None:
    del version  # its callback has ended the command
    ctx.obj = Settings(url, token_file, ca_file, output)


_command = cache(lambda: typer.main.get_command(app))


def execute(words: Sequence[str]) -> int:
    """Run one command line -> the exit code. With --output json stdout holds JSON, whatever happens."""
    words = hoisted(words) or ["--help"]
    as_json = wants_json(words)
    try:
        answer = _command().main(list(words), "gatepost", standalone_mode=False)
        if answer == Exit.INTERRUPTED:
            raise Interrupted("interrupted")
        if not isinstance(answer, Answer):
            return Exit(answer or 0)  # --help, --version
        present(answer, as_json=as_json)
        return answer.exit
    except BrokenPipeError:
        # Who read stdout has left, as `head` does; the interpreter's last flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.UNEXPECTED
    except KeyboardInterrupt:
        return fail(Interrupted("interrupted"), as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the last stop: no stack trace ever reaches a user
        return fail(error, as_json=as_json)


def run() -> NoReturn:
    """The console script; what a terminal's encoding does not know is shown as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(execute(sys.argv[1:]))
