"""The `gatepost-agent` command. argparse, because it is what costs no memory on a mail host."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from gatepost_agent import __version__
from gatepost_agent.arguments import USAGE, parser
from gatepost_agent.errors import AgentError, UsageRefused
from gatepost_agent.local import printing, tools
from gatepost_agent.local.client import ask
from gatepost_agent.local.progress import progress
from gatepost_agent.local.wire import Row
from gatepost_agent.settings import Settings, load_settings

Act = Callable[[argparse.Namespace, Settings], int]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 not done, 64 wrong usage; `status` has its own."""
    options = parser(__version__).parse_args(arguments)
    given = {"state_dir": options.state_dir, "config_dir": options.config_dir}
    try:
        code = _act(options.command)(options, load_settings(os.environ, given))
        sys.stdout.flush()
    except AgentError as error:
        code = _failed(options.output, str(error), USAGE if isinstance(error, UsageRefused) else 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads: what is left has to go somewhere
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _act(command: str) -> Act:
    acts: dict[str, Act] = {
        "enroll": _enroll,
        "run": _run,
        "status": _status,
        "deny": _deny,
        "trust": lambda o, s: _asked(o, s, "trust", {"fingerprint": o.fingerprint}, printing.trusted_lines),
        "set-url": lambda o, s: _asked(o, s, "set-url", {"urls": o.urls}, printing.url_lines),
        "clock": lambda o, s: _asked(o, s, "clock", {"reset": o.reset}, printing.fields),
        "queue export": _export,
        "queue import": _import,
        "queue check": _check,
        "trace": _trace,
    }
    return acts.get(command, _queue)


def _failed(output: str, text: str, code: int) -> int:
    print(f"gatepost-agent: {text}", file=sys.stderr)
    if output == "json":
        print(json.dumps({"error": text}))
    return code


def _print(output: str, rows: Iterable[Row], line: Callable[[Row], Iterable[str]]) -> None:
    for row in rows:
        if output == "json":
            print(json.dumps(row))
        else:
            for text in line(row):
                print(text)


def _remark(text: str) -> None:
    """For people, whatever the output is: stdout holds only what was found."""
    print(text, file=sys.stderr)


# --- enrolling and running ---------------------------------------------------------------------------------


def _enroll(options: argparse.Namespace, settings: Settings) -> int:
    from gatepost_agent.control.enrolment import Asked, enrolled

    urls = tuple(url for given in options.url for url in given)
    identity, is_new = asyncio.run(
        enrolled(
            settings.state_dir,
            Asked(
                urls=urls,
                token=options.token or _token_in(options.token_file),
                name=options.name,
                labels=_pairs(options.label),
                addresses=_pairs(options.address),
                ca_file=options.ca_file,
            ),
        )
    )
    row = {"server_id": identity.server_id, "name": identity.name, "enrolled": is_new}
    told = "enrolled as" if is_new else "is already enrolled as"
    _print(options.output, [row], lambda r: [f"{settings.state_dir} {told} {r['name']} ({r['server_id']})"])
    return 0


def _token_in(path: str) -> str:
    if path == "-":
        return sys.stdin.readline().strip()
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise UsageRefused(f"the token file {path} cannot be read: {error}") from error


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise UsageRefused(f"{text!r} is not a pair: write it as site=fra or internal=10.1.1.1")
        pairs[key] = value
    return pairs


def _run(options: argparse.Namespace, settings: Settings) -> int:
    from gatepost_agent.daemon import Options, run

    try:
        run(settings, Options(hold_queue=options.hold_queue))
    except OSError as error:
        raise AgentError(str(error)) from error
    return 0


# --- operating ---------------------------------------------------------------------------------------------


def _status(options: argparse.Namespace, settings: Settings) -> int:
    row, code = tools.status(settings)
    _print(options.output, [row], printing.status_lines)
    return code


def _asked(
    options: argparse.Namespace,
    settings: Settings,
    command: str,
    arguments: dict[str, Any],
    line: Callable[[Row], Iterable[str]],
) -> int:
    _print(options.output, ask(settings.state_dir, command, arguments), line)
    return 0


def _deny(options: argparse.Namespace, settings: Settings) -> int:
    command = "lift" if options.remove else "deny"
    asked = {"range": options.range, "reason": options.reason}
    return _asked(options, settings, command, asked, printing.denied_lines)


def _selected(options: argparse.Namespace) -> dict[str, Any]:
    names = ("ids", "client", "to", "next_hop", "older", "kept", "all", "dry_run")
    chosen = {name: getattr(options, name) for name in names if hasattr(options, name)}
    return chosen | ({"from": options.from_} if hasattr(options, "from_") else {})


def _queue(options: argparse.Namespace, settings: Settings) -> int:
    chosen, met = _selected(options), 0
    is_list = options.command == "queue list"
    lines = (lambda row: [printing.message_line(row)]) if is_list else printing.fields
    for row in tools.queue(settings, options.command.removeprefix("queue "), chosen):
        _print(options.output, [row], lines)
        met += row["done"] if "done" in row else row.get("would", 1)
    if not met:
        _remark(printing.nothing(chosen))
    return 0


def _export(options: argparse.Namespace, settings: Settings) -> int:
    if options.dry_run:
        return _queue(options, settings)
    last = tools.export(tools.queue(settings, "export", _selected(options)), options.file)
    print(
        json.dumps(last) if options.output == "json" else f"{last.get('done', 0)} exported", file=sys.stderr
    )
    return 0


def _import(options: argparse.Namespace, settings: Settings) -> int:
    rows = list(tools.queue(settings, "import", {"path": tools.absolute(options.file)}))
    _print(options.output, rows, printing.fields)
    return 1 if any(row.get("refused") for row in rows) else 0


def _check(options: argparse.Namespace, settings: Settings) -> int:
    problems, checked = [], 0
    with progress(sys.stderr) as show:
        for row in tools.queue(settings, "check", {"progress": True}):
            if "problem" in row:
                problems.append(row)
            else:
                checked = row["checked"]
                show(f"{checked:,} of {row['of']:,} messages checked")
    _print(options.output, problems, lambda row: [printing.shown(row["problem"])])
    if not problems:
        _remark(f"no damage in {checked:,} messages")
    return 1 if problems else 0


def _trace(options: argparse.Namespace, settings: Settings) -> int:
    wanted = {"id": options.id, "from": options.from_, "to": options.to, "client": options.client}
    if not any(wanted.values()):
        raise UsageRefused("say what to look for: --id, --from, --to or --client")
    found = list(tools.trace(settings, wanted))
    _print(options.output, found, lambda row: [printing.entry_line(row)])
    if not found:
        _remark("nothing in the mail log matches")
    return 0 if found else 1


if __name__ == "__main__":
    main()
