"""A plan in words: the same sections on a terminal, as Markdown for a review, and its tests as JUnit XML.

What goes away and what widens comes first: nobody misses it in a long list.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from rich.text import Text

from gatepost.cli.standing import short
from gatepost.cli.tables import words
from gatepost.printable import printable

_STYLES = {"-": "red", "+": "green"}
_SIGNS = {"removed": "-", "changed": "~", "added": "+"}
_SHOWN = 20  # ranges, or entries of a setting that is a list
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#])")


class Section(NamedTuple):
    """A heading and its lines; `urgent` ones are what a reviewer must not miss."""

    title: str
    lines: tuple[str, ...]
    urgent: bool = False


class NotRun(NamedTuple):
    """A test of the document that nobody could be asked, and why."""

    name: str
    server: str
    why: str


def sections(plan: Mapping[str, Any]) -> list[Section]:
    """What a plan says, without what is empty."""
    holding = {finding["id"] for finding in plan["holding"]}
    found = (
        Section("Holds a publish up", tuple(map(finding_line, plan["holding"])), urgent=True),
        Section("Cannot be compiled", tuple(_problems(plan)), urgent=True),
        Section("Changes", tuple(line for change in plan["changes"] for line in _change(change))),
        Section("Widens", tuple(_widenings(plan["widenings"])), urgent=True),
        Section("Who may relay without a password", tuple(_exposures(plan["exposure"]))),
        Section("Other findings", tuple(finding_line(f) for f in plan["findings"] if f["id"] not in holding)),
        Section("Servers that get it", tuple(_servers(plan))),
    )
    return [section for section in found if section.lines]


def headline(plan: Mapping[str, Any], idle: Sequence[NotRun] = ()) -> str:
    """The plan in one sentence."""
    if not plan["changes"] and not plan["touched"]:
        return f"No changes; tests: {len(idle)} not run." if idle else "No changes."
    counted = {action: sum(c["action"] == action for c in plan["changes"]) for action in _SIGNS}
    told = (
        ", ".join(f"{number} {action}" for action, number in counted.items() if number)
        or "nothing in the document"
    )
    wider = (
        "nothing widens"
        if plan["only_narrows"]
        else f"{len(list(_widenings(plan['widenings'])))} widening(s)"
    )
    return f"{told}; {wider}; {len(plan['touched'])} server(s) get it; tests: {_tested(plan, idle)}."


def _tested(plan: Mapping[str, Any], idle: Sequence[NotRun]) -> str:
    passed, failed = len(tests(plan, passed=True)), len(tests(plan, passed=False))
    return f"{passed} passed, {failed} failed" + (f", {len(idle)} not run" if idle else "")


def tests(plan: Mapping[str, Any], *, passed: bool) -> list[Mapping[str, Any]]:
    """The document's tests that passed, or failed."""
    return [test for server in plan["servers"] for test in server["tests"] if test["passed"] is passed]


def not_run(plan: Mapping[str, Any], document: Mapping[str, Any]) -> list[NotRun]:
    """The document's tests that have no result: their server is not enrolled, or nothing can be compiled for it."""
    known = {server["server"] for server in plan["servers"]}
    ran = {test["name"] for server in plan["servers"] for test in server["tests"]}
    return [
        NotRun(
            test["name"],
            test["server"],
            f"{test['server']} {'cannot be compiled' if test['server'] in known else 'is not enrolled'}",
        )
        for test in document.get("tests", ())
        if test["name"] not in ran
    ]


def text(plan: Mapping[str, Any], idle: Sequence[NotRun] = ()) -> Text:
    """For a terminal: what must not be missed in red, additions in green."""
    shown = Text()
    for section in sections(plan):
        shown.append(f"{section.title}\n", "bold red" if section.urgent else "bold")
        for line in section.lines:
            shown.append(f"  {line}\n", _STYLES.get(line.strip()[:1], ""))
        shown.append("\n")
    return shown.append(headline(plan, idle))


def markdown(plan: Mapping[str, Any], idle: Sequence[NotRun] = ()) -> str:
    """For a comment on a change that is under review."""
    parts = [f"## Gatepost plan\n\n{_escaped(headline(plan, idle))}"]
    for section in sections(plan):
        title = f"⚠ {section.title}" if section.urgent else section.title
        parts.append(f"### {title}\n\n" + "\n".join(f"- {_escaped(line)}" for line in section.lines))
    return "\n\n".join(parts) + "\n"


def junit(plan: Mapping[str, Any], idle: Sequence[NotRun] = ()) -> str:
    """The document's tests as JUnit XML."""
    passed, failed = tests(plan, passed=True), tests(plan, passed=False)
    counts = {"tests": len(passed) + len(failed) + len(idle), "failures": len(failed), "skipped": len(idle)}
    suite = ET.Element("testsuite", name="gatepost", errors="0")
    suite.attrib |= {name: str(count) for name, count in counts.items()}
    for test in passed:
        _case(suite, test["server"], test["name"])
    for test in failed:
        ET.SubElement(_case(suite, test["server"], test["name"]), "failure", message=_told(test))
    for unasked in idle:
        ET.SubElement(_case(suite, unasked.server, unasked.name), "skipped", message=printable(unasked.why))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, server: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=printable(server), name=printable(name))


def _escaped(line: str) -> str:
    return _MARKDOWN.sub(r"\\\1", line)


def finding_line(finding: Mapping[str, Any]) -> str:
    """A finding of policy: how bad, where, what, and what to do; its id where an admin may take it on."""
    where = f" on {words(finding['servers'])}" if finding.get("servers") else ""
    detail = printable(finding["detail"]).removesuffix(".")
    told = f"{finding['severity']} {finding['rule']}{where}: {detail}. {printable(finding['remedy'])}"
    return f"{told} Its id is {finding['id']}." if finding["acknowledgeable"] else told


def _told(test: Mapping[str, Any]) -> str:
    reason = (test.get("explanation") or {}).get("reason")
    told = f"expects {test['expected']!r}, got {test['got']!r}"
    return printable(f"{told} ({reason})" if reason else told)


def _problems(plan: Mapping[str, Any]) -> Iterator[str]:
    for server in plan["servers"]:
        yield from (f"{server['server']}: {printable(problem)}" for problem in server["problems"])


def _change(change: Mapping[str, Any]) -> Iterator[str]:
    yield f"{_SIGNS[change['action']]} {change['part']}/{printable(change['name'])} {change['action']}"
    for field in change["fields"]:
        yield f"    {field['field']}: {_value(field['before'])} -> {_value(field['after'])}"
    if change["action"] == "changed":
        yield from (f"    - range {text}" for text in _some(change["ranges_removed"]))
        yield from (f"    + range {text}" for text in _some(change["ranges_added"]))


def _value(value: Any) -> str:
    more = len(value) - _SHOWN if isinstance(value, list) else 0
    return f"{words(value[:_SHOWN])} and {more} more" if more > 0 else words(value)


def _some(ranges: list[str]) -> Iterator[str]:
    yield from ranges[:_SHOWN]
    if ranges[_SHOWN:]:
        yield f"(and {len(ranges) - _SHOWN} more)"


def _widenings(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What widens alike on several servers is one line."""
    where: dict[str, list[str]] = {}
    for widening in found:
        where.setdefault(_widening(widening), []).extend(widening["servers"])
    for told, servers in where.items():
        yield f"{told} on {words(list(dict.fromkeys(servers)))}" if servers else told


def _widening(widening: Mapping[str, Any]) -> str:
    gains = f": {words(widening['gains'])}" if widening["gains"] else ""
    ranges = f" [{', '.join(_some(widening['ranges']))}]" if widening["ranges"] else ""
    return f"{printable(widening['subject'])}: {printable(widening['detail'])}{gains}{ranges}"


def _exposures(exposure: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for change in exposure:
        moved = [f"+ {text}" for text in _some(change["added"])] + [
            f"- {text}" for text in _some(change["removed"])
        ]
        moved += [f"+ domain {name}" for name in change["domains_added"]]
        moved += [f"- domain {name}" for name in change["domains_removed"]]
        if moved:
            sizes = f"{_sized(change['before'])} -> {_sized(change['after'])}"
            yield f"{words(change['servers'])}: {sizes}; {', '.join(moved)}"


def _sized(count: Mapping[str, int]) -> str:
    v6 = f" and {count['v6']} IPv6" if count["v6"] else ""
    return f"{count['v4']} IPv4{v6} addresses"


def _servers(plan: Mapping[str, Any]) -> Iterator[str]:
    for server in plan["servers"]:
        if server["server"] not in plan["touched"]:
            continue
        ports = [f"opens {text}" for text in server["opens"]] + [
            f"closes {text}" for text in server["closes"]
        ]
        told = f"{short(server['digest_before'])} -> {short(server['digest_after'])}"
        yield f"{server['server']}: {', '.join([told, *ports])}"
