"""The command line's grammar."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

USAGE = 64


class Parser(argparse.ArgumentParser):
    """Wrong usage exits 64, as sysexits.h has it: 2 is a monitoring system's `critical`."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and how it is used."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def parser(version: str) -> argparse.ArgumentParser:
    """Every command with its options; `command` names the one chosen."""
    top = Parser(prog="gatepost-agent", description="The SMTP relay of Gatepost on a mail host.")
    top.add_argument("--version", action="version", version=version)
    _shared(top, None, None, "text")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _enroll(commands)
    _run(commands)
    _status(commands)
    _operating(commands)
    _queue(commands)
    _trace(commands)
    return top


if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction["Parser"]  # noqa: SLF001 - it has no public name


def _command(commands: "Commands", name: str, told: str, *, command: str = "") -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=told, description=told)
    made.set_defaults(command=command or name)
    _shared(
        made, *[argparse.SUPPRESS] * 3
    )  # what stands before the command stays where nothing stands after it
    return made


def _shared(
    made: argparse.ArgumentParser, state_dir: str | None, config_dir: str | None, output: str
) -> None:
    folder = "the agent's state folder (GATEPOST_AGENT_STATE_DIR)"
    made.add_argument("--state-dir", type=Path, metavar="DIR", default=state_dir, help=folder)
    config = "guard.toml, agent.toml and named secrets; in the state folder"
    made.add_argument("--config-dir", type=Path, metavar="DIR", default=config_dir, help=config)
    how = "how answers are written; json: an object a line"
    made.add_argument("--output", choices=("text", "json"), default=output, help=how)


def _enroll(commands: "Commands") -> None:
    made = _command(
        commands, "enroll", "Make this host known to the control plane; again under the same name is fine."
    )
    made.add_argument(
        "--url", action="append", required=True, nargs="+", help="the control plane, at one or more addresses"
    )
    token = made.add_mutually_exclusive_group(required=True)
    token.add_argument("--token", help="the enrollment token; --token-file hides it from `ps`")
    token.add_argument("--token-file", help="a file that holds the token, - for stdin")
    made.add_argument("--name", required=True, help="the server's name in the fleet")
    made.add_argument(
        "--label", action="append", default=[], metavar="KEY=VALUE", help="a label, as site=fra"
    )
    made.add_argument("--address", action="append", default=[], metavar="NAME=IP", help="a named address")
    made.add_argument("--ca-file", default="", help="the CA that the control plane's certificate comes from")


def _run(commands: "Commands") -> None:
    made = _command(commands, "run", "Relay mail until SIGTERM.")
    made.add_argument("--hold-queue", action="store_true", help="deliver nothing until `queue start`")


def _status(commands: "Commands") -> None:
    _command(commands, "status", "How this host is. Exit code: 0 ok, 1 degraded, 2 failing, 3 unknown.")


def _operating(commands: "Commands") -> None:
    deny = _command(commands, "deny", "Refuse a client all service on this host, whatever is configured.")
    deny.add_argument("range", metavar="ADDR|CIDR")
    deny.add_argument("--reason", default="", help="why, for those who read status")
    deny.add_argument("--remove", action="store_true", help="lift a denial of this host")
    trust = _command(commands, "trust", "Trust a signing key once the control plane shows it.")
    trust.add_argument("fingerprint", metavar="FINGERPRINT", help="sha256:<64 hex digits>")
    urls = _command(commands, "set-url", "Go to another address of the same control plane.")
    urls.add_argument("urls", nargs="+", metavar="URL")
    clock = _command(commands, "clock", "The clock that decides expiry: it never goes back by itself.")
    clock.add_argument("--reset", action="store_true", help="believe the host's clock, even if it goes back")


def _queue(commands: "Commands") -> None:
    group = commands.add_parser("queue", help="Look at and change the queue, with the agent running or not.")
    _shared(group, *[argparse.SUPPRESS] * 3)
    acts = group.add_subparsers(required=True, metavar="ACT")
    _selecting(_command(acts, "list", "The queued messages.", command="queue list"))
    _command(acts, "show", "Everything about messages.", command="queue show").add_argument(
        "ids", nargs="+", type=int
    )
    for name, told in (
        ("hold", "Deliver these no more until released."),
        ("release", "Undo hold."),
        ("retry", "Try these now; kept ones are queued again."),
        ("delete", "Delete these; their senders are not told."),
    ):
        made = _command(acts, name, told, command=f"queue {name}")
        _selecting(made, kept=name in ("retry", "delete"))
        made.add_argument("--all", action="store_true", help="every message")
        made.add_argument("--dry-run", action="store_true", help="say which, and change nothing")
    export = _command(acts, "export", "Copy messages to a file; they stay.", command="queue export")
    export.add_argument("--file", required=True, metavar="FILE", help="a new file, - for stdout")
    _selecting(export)
    export.add_argument("--dry-run", action="store_true", help="say which, and write nothing")
    imported = _command(acts, "import", "Add exported messages; twice adds nothing.", command="queue import")
    imported.add_argument("file", metavar="FILE")
    _command(acts, "check", "Look for damage. Exit code 1 when there is any.", command="queue check")
    _command(acts, "start", "End `run --hold-queue`.", command="queue start")


def _selecting(made: argparse.ArgumentParser, *, kept: bool = True) -> None:
    made.add_argument("ids", nargs="*", type=int, help="queue ids, as in the 250 reply")
    made.add_argument("--client", default="", metavar="ADDR|CIDR")
    made.add_argument("--from", default="", dest="from_", metavar="SENDER", help="an address, @domain, or <>")
    made.add_argument("--to", default="", metavar="RECIPIENT", help="an address, or @domain")
    made.add_argument(
        "--next-hop",
        default="",
        metavar="HOP",
        help="who answered last, or where it may go (known only while the agent runs), as `queue list` shows it: "
        "smtp.contoso.com:25, [2001:db8::1]:25, mx:fabrikam.com, or no more than the host",
    )
    made.add_argument("--older", default="", metavar="AGE", help="received longer ago than 90s, 15m, 2h, 1d")
    if kept:
        made.add_argument(
            "--kept", action="store_true", help="failed and expired mail instead of the queue's"
        )


def _trace(commands: "Commands") -> None:
    made = _command(
        commands, "trace", "What became of a message: every reception and attempt in the mail log."
    )
    made.add_argument("--id", default="", help="the queue id or the Message-ID")
    made.add_argument("--from", default="", dest="from_", metavar="SENDER", help="an address, @domain, or <>")
    made.add_argument("--to", default="", metavar="RECIPIENT", help="an address, or @domain")
    made.add_argument("--client", default="", metavar="ADDR|CIDR")
