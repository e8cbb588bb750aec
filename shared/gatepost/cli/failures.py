"""A command that ended in an exception, for people and for programs: text on stderr, JSON on stdout."""

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from gatepost.cli.answers import print_json, say
from gatepost.cli.errors import PlanRefused
from gatepost.cli.exits import Exit, exit_of
from gatepost.cli.reports import finding_line
from gatepost.client import ApiProblem
from gatepost.documents import DocumentError
from gatepost.printable import printable


def fail(error: Exception, *, as_json: bool) -> Exit:
    """Tell what happened, without a stack trace, and say which exit code it is."""
    code = Exit.USAGE if isinstance(error, typer.TyperException) else exit_of(error)
    if as_json:
        print_json({"error": as_data(error), "exit_code": int(code)})
    say("\n".join(lines(error)))
    return code


def as_data(error: Exception) -> dict[str, Any]:
    """The failure as a script reads it; problems of the API as the API told them."""
    if isinstance(error, ApiProblem):
        return error.as_json()
    data: dict[str, Any] = {"type": _kind(error), "detail": _told(error)}
    if isinstance(error, DocumentError):
        data["errors"] = [fault._asdict() for fault in error.faults]
    if isinstance(error, PlanRefused):
        data |= {"type": error.type, "findings": error.findings}
    return data


def lines(error: Exception) -> Iterator[str]:
    """The failure as people read it: what, then each fault with its place, value and remedy."""
    if isinstance(error, ApiProblem):
        yield f"gatepost: {printable(error.title)}. {printable(error.detail)}"
        yield from (fault_line(fault._asdict()) for fault in error.errors)
        yield from (f"  {finding_line(finding)}" for finding in error.members.get("findings", ()))
        if error.status >= 500:
            yield f"  request {printable(error.request_id)}"
    elif isinstance(error, DocumentError):
        yield "gatepost: the document cannot be used:"
        yield from (fault_line(fault._asdict()) for fault in error.faults)
    else:
        yield f"gatepost: {_told(error)}"
        if isinstance(error, PlanRefused):
            yield from (f"  {finding_line(finding)}" for finding in error.findings)


def fault_line(fault: Mapping[str, Any]) -> str:
    """`/connectors/0/bindings/0: not a binding: '25'. Write it as 0.0.0.0:25.`"""
    value = fault.get("value")
    seen = f": {printable(str(value))!r}" if value not in (None, "") else ""
    remedy = f" {printable(str(fault['remedy']))}" if fault.get("remedy") else ""
    detail = printable(str(fault.get("detail", ""))).removesuffix(".")
    return f"  {printable(str(fault.get('pointer') or '/'))}: {detail}{seen}.{remedy}"


def _kind(error: Exception) -> str:
    if isinstance(error, typer.TyperException):
        return "usage"
    return {
        Exit.USAGE: "usage",
        Exit.INVALID: "invalid",
        Exit.UNREACHABLE: "unreachable",
        Exit.INTERRUPTED: "interrupted",
    }.get(exit_of(error), "unexpected")


def _told(error: Exception) -> str:
    if isinstance(error, typer.TyperException):
        return printable(error.format_message())
    if exit_of(error) is not Exit.UNEXPECTED:
        return printable(str(error))
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({Path(frame.filename).name} line {frame.lineno})" for frame in last)
    return f"unexpected {type(error).__name__}: {printable(str(error))}{where}"
